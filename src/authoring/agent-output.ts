import { z } from 'zod';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { OutputContract } from '../domain/model/output-contract.ts';

/** What an agent's final answers must be: the JSON schema that models read, and the schema that checks them. */
export type AgentOutput = OutputContract & {
  /** Checks a value and gives what it stands for as JSON. Never throws. */
  readonly parse: (value: JsonValue) => CheckedOutput;
};

export type CheckedOutput =
  { readonly kind: 'ok'; readonly value: JsonValue } | { readonly kind: 'invalid'; readonly problem: string };

/** Places that a problem names: whoever mends these has seen the pattern. */
const ISSUES_MAX = 8;

/** Characters of a place in a value; keys may be of any length. */
const PATH_LENGTH_MAX = 80;

/**
 * Describes the output schema of an agent.
 *
 * @throws TypeError when the schema has no JSON schema; the message says what to change.
 */
export function describeOutput(schema: z.ZodType): AgentOutput {
  return { schema: toJsonSchema(schema), parse: (value) => checkOutput(schema, value) };
}

/** Checks a value against a schema. What a schema's own functions throw is a problem of the value: the reply was paid for. */
function checkOutput(schema: z.ZodType, value: JsonValue): CheckedOutput {
  try {
    const parsed = schema.safeParse(value);
    if (!parsed.success) return { kind: 'invalid', problem: problemOf(parsed.error) };
    return { kind: 'ok', value: JSON.parse(JSON.stringify(parsed.data ?? null)) as JsonValue };
  } catch (error) {
    return { kind: 'invalid', problem: `it could not be checked (${error instanceof Error ? error.name : 'error'}).` };
  }
}

function toJsonSchema(schema: z.ZodType): JsonObject {
  try {
    return JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io: 'input' }))) as JsonObject;
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown reason';
    throw new TypeError(
      `output has no JSON schema (${why}): use types that JSON has, such as z.iso.datetime() in place of z.date()`,
      { cause: error },
    );
  }
}

/** Names the places and what was expected there. The words are the schema's, not the model's. */
function problemOf({ issues }: z.ZodError): string {
  const shown = issues.slice(0, ISSUES_MAX).map(({ path, message }) => `${placeOf(path)}: ${message}.`);
  return [...shown, ...(issues.length > ISSUES_MAX ? [`And ${issues.length - ISSUES_MAX} more.`] : [])].join(' ');
}

function placeOf(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text === '' ? 'the value' : text.replace(/^\./, '').slice(0, PATH_LENGTH_MAX);
}
