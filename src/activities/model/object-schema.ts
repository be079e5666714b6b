import { canonicalJson, type JsonObject, type JsonValue } from '../../domain/json.ts';

/** Words of JSON Schema that providers take inside of a schema, and at its top refuse the whole request for. */
const COMBINED = ['anyOf', 'oneOf', 'allOf'] as const;

/**
 * Writes the schema of a tool's arguments as one object, as providers want it at the top. A choice of objects becomes an object that has the
 * members of all and needs what all need: the tool's own schema checks the arguments, and tells the model which go together. What is no
 * choice of objects stays as it is.
 */
export function objectSchema(schema: JsonObject): JsonObject {
  const word = COMBINED.find((each) => Array.isArray(schema[each]));
  if (word === undefined)
    return schema['type'] === undefined && schema['$ref'] === undefined ? anyObject(schema) : schema;
  const { [word]: given, ...rest } = schema;
  const choices = (given as readonly JsonObject[]).map(objectSchema);
  if (!choices.every(isObject)) return schema;
  const own = objectSchema(rest);
  return {
    ...own,
    properties: merged([own, ...choices].map(({ properties = {} }) => properties as JsonObject)),
    required:
      word === 'allOf'
        ? needed([own, ...choices], 'any')
        : [...new Set([...needed([own], 'any'), ...needed(choices, 'all')])],
  };
}

function anyObject(schema: JsonObject): JsonObject {
  return { ...schema, type: 'object', properties: schema['properties'] ?? {} };
}

function isObject({ type }: JsonObject): boolean {
  return type === 'object';
}

/** A member that is another in each choice may be any of them. */
function merged(all: readonly JsonObject[]): JsonObject {
  const names = new Set(all.flatMap((properties) => Object.keys(properties)));
  return Object.fromEntries(
    [...names].map((name): [string, JsonValue] => {
      const schemas = all.flatMap((properties) => properties[name] ?? []);
      const distinct = [...new Map(schemas.map((each) => [canonicalJson(each), each])).values()];
      return [name, distinct.length === 1 ? (distinct[0] ?? {}) : { anyOf: distinct }];
    }),
  );
}

function needed(schemas: readonly JsonObject[], by: 'any' | 'all'): readonly string[] {
  const lists = schemas.map(({ required = [] }) => required as readonly string[]);
  const names = [...new Set(lists.flat())];
  return by === 'any' ? names : names.filter((name) => lists.every((list) => list.includes(name)));
}
