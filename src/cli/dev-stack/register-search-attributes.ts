import type { Connection } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTemporalConfig } from './temporal-config.ts';

/** The API's numbers for the types of search attributes, in order from 1. */
const typeNames = ['Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'] as const;

/** Milliseconds until a new attribute must be listed; a cluster refreshes its cache within a minute. */
const visibleMs = 60_000;

/** Milliseconds between two looks at the list. */
const pollMs = 100;

/** Search attributes and their types, as in `temporal-config/search-attributes.json`. */
export type SearchAttributes = Readonly<Record<string, string>>;

/** Reads the search attributes that every Perdure namespace needs. */
export function requiredSearchAttributes(): SearchAttributes {
  return readTemporalConfig('search-attributes.json') as SearchAttributes;
}

/**
 * Ensures that a namespace has our search attributes, also one that existed before: lists them, adds what is missing
 * and waits until it is listed. The server itself accepts a name again with another type in silence, so we compare.
 *
 * @returns the names that were added.
 * @throws when an attribute exists with another type, or when the server does not let us add.
 */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<readonly string[]> {
  const required = requiredSearchAttributes();
  const existing = await listSearchAttributes(connection, namespace);
  refuseOtherTypes(required, existing, namespace);
  const missing = Object.keys(required).filter((name) => existing[name] === undefined);
  if (missing.length === 0) return [];
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, typeNumber(required[name] ?? '')]));
  await connection.operatorService.addSearchAttributes({ namespace, searchAttributes }).catch((error: unknown) => {
    throw new Error(cannotAddMessage(namespace, missing, required), { cause: error });
  });
  await waitUntilListed(connection, namespace, missing);
  return missing;
}

/** Lists the search attributes of a namespace that somebody added, with their types. */
export async function listSearchAttributes(connection: Connection, namespace: string): Promise<SearchAttributes> {
  const reply = await connection.operatorService.listSearchAttributes({ namespace });
  return Object.fromEntries(
    Object.entries(reply.customAttributes ?? {}).map(([name, type]) => [name, typeNames[type - 1] ?? `type ${type}`]),
  );
}

function refuseOtherTypes(required: SearchAttributes, existing: SearchAttributes, namespace: string): void {
  const conflicts = Object.keys(required)
    .filter((name) => existing[name] !== undefined && existing[name] !== required[name])
    .map((name) => `${name} is ${existing[name]}, expected ${required[name]}`);
  if (conflicts.length > 0) {
    throw new Error(
      `Search attributes of namespace ${namespace} have another type: ${conflicts.join('; ')}. Use another namespace, or remove them with \`temporal operator search-attribute remove\`.`,
    );
  }
}

async function waitUntilListed(connection: Connection, namespace: string, names: readonly string[]): Promise<void> {
  const deadline = Date.now() + visibleMs;
  while (Date.now() < deadline) {
    const existing = await listSearchAttributes(connection, namespace);
    if (names.every((name) => existing[name] !== undefined)) return;
    await sleep(pollMs);
  }
  throw new Error(`Namespace ${namespace} does not list ${names.join(', ')} a minute after they were added`);
}

/** Translates a type of search attribute to the number that the API wants. */
export function typeNumber(name: string): number {
  return typeNames.findIndex((type) => type === name) + 1;
}

function cannotAddMessage(namespace: string, missing: readonly string[], required: SearchAttributes): string {
  const list = missing.map((name) => `${name}=${required[name]}`).join(', ');
  return `Namespace ${namespace} lacks search attributes and the server does not let us add them. Add them (Temporal Cloud: in the console or with tcld): ${list}`;
}
