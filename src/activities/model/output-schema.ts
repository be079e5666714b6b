import type { JsonObject, JsonValue } from '../../domain/json.ts';

/** A schema as a provider is sent it, and whether it can be enforced to the letter. */
export type SentSchema = { readonly schema: JsonObject; readonly isStrict: boolean };

/** Keywords that OpenAI refuses where a schema is enforced to the letter; what means the same in others is only asked for. */
const LOOSE_KEYWORDS: readonly string[] = [
  'default',
  'oneOf',
  'allOf',
  'not',
  'if',
  'then',
  'else',
  'patternProperties',
  'propertyNames',
  'unevaluatedProperties',
  'dependentRequired',
  'dependentSchemas',
  'prefixItems',
  'contains',
  'uniqueItems',
  'contentEncoding',
  'contentMediaType',
];

/** Formats that it knows; it refuses every other. */
const STRICT_FORMATS: readonly string[] = [
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uuid',
];

/** What no provider's patterns can do: look ahead or back. */
const LOOKAROUND = /\(\?<?[=!]/;

/**
 * Says how a provider is sent an output schema. Null where it takes none: all of them want an object, and some send the schema as a tool's. The whole
 * schema stands in the instructions, and is what the answer is checked by.
 */
export function sentSchema(schema: JsonObject): SentSchema | null {
  if (schema['type'] !== 'object') return null;
  return { schema: withoutLookaround(schema) as JsonObject, isStrict: isClosed(schema) && !isLoose(schema) };
}

/** Tells whether every object of a schema has all of its members and no others. */
export function isClosed(schema: JsonValue): boolean {
  if (Array.isArray(schema)) return schema.every(isClosed);
  if (typeof schema !== 'object' || schema === null) return true;
  const { type, properties, required, additionalProperties } = schema as JsonObject;
  if (isObjectType(type) || (type === undefined && properties !== undefined)) {
    const names = Object.keys((properties ?? {}) as JsonObject);
    const needed = new Set(Array.isArray(required) ? (required as readonly JsonValue[]) : []);
    if (additionalProperties !== false || !names.every((name) => needed.has(name))) return false;
  }
  return Object.values(schema).every(isClosed);
}

function isObjectType(type: JsonValue | undefined): boolean {
  return type === 'object' || (Array.isArray(type) && type.includes('object'));
}

/** What says of what kind a value is: one that may be anything is not enforced. */
const KINDS: readonly string[] = ['type', 'anyOf', '$ref', 'enum', 'const'];

function isAnything(schema: JsonValue): boolean {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema === true;
  return !KINDS.some((name) => name in schema);
}

/** A member that is named like a keyword makes a schema loose as well: that is asked for less strictly, and refused by nobody. */
function isLoose(schema: JsonValue): boolean {
  if (Array.isArray(schema)) return schema.some(isLoose);
  if (typeof schema !== 'object' || schema === null) return false;
  const { format, properties, items } = schema as JsonObject;
  if (typeof format === 'string' && !STRICT_FORMATS.includes(format)) return true;
  const inside = [...Object.values((properties ?? {}) as JsonObject), ...(items === undefined ? [] : [items])];
  if (inside.some(isAnything)) return true;
  return Object.entries(schema).some(([name, value]) => LOOSE_KEYWORDS.includes(name) || isLoose(value));
}

function withoutLookaround(schema: JsonValue): JsonValue {
  if (Array.isArray(schema)) return schema.map(withoutLookaround);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(
    ([name, value]) => !(name === 'pattern' && typeof value === 'string' && LOOKAROUND.test(value)),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutLookaround(value)]));
}
