// Goal: whatever schema the arguments of a tool have, providers get one object at its top, which takes all that the schema takes.
// Method: schemas as authors write them, and arguments held against what is sent.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { objectSchema } from '../../../src/activities/model/object-schema.ts';
import type { JsonObject, JsonValue } from '../../../src/domain/json.ts';

function sent(schema: z.ZodType): JsonObject {
  return objectSchema(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonObject);
}

const card = z.object({ kind: z.literal('card'), number: z.string(), note: z.string().optional() });
const bank = z.object({ kind: z.literal('bank'), account: z.string(), number: z.number().optional() });

/** Schemas, with arguments that they take. */
const ROWS: readonly (readonly [string, z.ZodType, readonly JsonValue[]])[] = [
  [
    'a choice by kind',
    z.discriminatedUnion('kind', [card, bank]),
    [
      { kind: 'card', number: '4', note: 'x' },
      { kind: 'bank', account: 'a', number: 4 },
    ],
  ],
  [
    'a choice of choices',
    z.union([z.union([card, bank]), z.object({ id: z.string() })]),
    [{ id: 'x' }, { kind: 'bank', account: 'a' }],
  ],
  ['both of two', z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })), [{ a: 'x', b: 1 }]],
  ['anything', z.any(), [{}, { a: 1 }]],
];

/** Names that are needed are named once: providers check the schema itself. */
const OVERLAPPING: JsonObject = {
  type: 'object',
  properties: { a: {}, b: {}, c: {} },
  required: ['a'],
  anyOf: [{ required: ['a', 'b'] }, { required: ['a', 'c'] }],
};

describe('the schema of a tool', () => {
  for (const [what, schema, taken] of ROWS) {
    it(`of ${what} is an object that takes the same`, () => {
      const written = sent(schema);
      assert.equal(written['type'], 'object');
      for (const word of ['anyOf', 'oneOf', 'allOf', 'enum', 'not']) assert.ok(!(word in written), word);
      const reader = z.fromJSONSchema(written);
      for (const value of taken) assert.ok(schema.safeParse(value).success && reader.safeParse(value).success);
    });
  }

  it('needs what every choice needs, and all of what is combined', () => {
    assert.deepEqual(sent(z.discriminatedUnion('kind', [card, bank]))['required'], ['kind']);
    assert.deepEqual(sent(z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })))['required'], [
      'a',
      'b',
    ]);
  });

  it('names each of them once', () => {
    assert.deepEqual(objectSchema(OVERLAPPING)['required'], ['a']);
  });

  it('stays as it is where it is an object, or no choice of objects', () => {
    const object = { type: 'object', properties: { a: { anyOf: [{ type: 'string' }, { type: 'null' }] } } };
    const words = { anyOf: [{ type: 'string' }, { type: 'number' }] };
    const named = { $ref: '#/$defs/a', $defs: { a: object } };
    for (const schema of [object, words, named]) assert.deepEqual(objectSchema(schema), schema);
  });
});
