import { canonicalJson, type JsonObject, type JsonValue } from '../json.ts';
import type { ToolContract } from './contract.ts';

/**
 * Says how a served contract differs from the pinned one in a way that matters, or null when it may stand in for it. Reworded
 * text and new optional input pass; anything else fails closed.
 */
export function contractDrift(pinned: ToolContract, served: ToolContract): string | null {
  if (pinned.name !== served.name) return `it is now called ${served.name}`;
  if (major(pinned) !== major(served)) return `version ${pinned.version} was pinned, ${served.version} is served`;
  if (pinned.effect !== served.effect) return `its effect was ${pinned.effect} and is now ${served.effect}`;
  if (pinned.deferred !== served.deferred) {
    return `its result came ${pinned.deferred ? 'later' : 'at once'} and now comes ${served.deferred ? 'later' : 'at once'}`;
  }
  return inputDrift(pinned.inputSchema, served.inputSchema) ?? outputDrift(pinned, served);
}

function inputDrift(pinned: JsonObject, served: JsonObject): string | null {
  const [before, after] = [objectOf(pinned['properties']), objectOf(served['properties'])];
  for (const [name, schema] of Object.entries(before)) {
    if (withoutText(schema) !== withoutText(after[name] ?? null)) return `its input ${name} has changed`;
  }
  const [required, requiredNow] = [listOf(pinned['required']), listOf(served['required'])];
  const demanded = requiredNow.find((name) => !required.includes(name));
  if (demanded !== undefined) return `its input ${demanded} is now required`;
  const released = required.find((name) => !requiredNow.includes(name));
  if (released !== undefined) return `its input ${released} is no longer required`;
  return restOf(pinned) === restOf(served) ? null : 'its input schema has changed';
}

function outputDrift(pinned: ToolContract, served: ToolContract): string | null {
  return withoutText(pinned.outputSchema) === withoutText(served.outputSchema) ? null : 'its output schema has changed';
}

/** Writes what a schema says besides its properties. */
function restOf({ properties: _properties, required: _required, ...others }: JsonObject): string {
  return withoutText(others);
}

/** Writes a schema without the words that are only for reading. */
function withoutText(schema: JsonValue): string {
  return canonicalJson(strip(schema));
}

function strip(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => strip(item));
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(([key, member]) => !(isText(key) && typeof member === 'string'));
  return Object.fromEntries(kept.map(([key, member]) => [key, strip(member)]));
}

function isText(key: string): boolean {
  return key === 'description' || key === 'title' || key === '$comment';
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as JsonObject) : {};
}

function listOf(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function major(contract: ToolContract): string {
  return contract.version.split('.')[0] ?? '';
}
