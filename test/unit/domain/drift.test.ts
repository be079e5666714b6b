/**
 * Goal: a served tool stands in for the pinned one only when the model and the run cannot tell the difference.
 * Method: a table of changes to one contract; reworded text and new optional input pass, everything else is refused with its reason.
 */
import assert from 'node:assert/strict';
import type { JsonObject } from '../../../src/domain/json.ts';
import { contractHash, toolActivityType, type ToolContract } from '../../../src/domain/tool/contract.ts';
import { contractDrift } from '../../../src/domain/tool/drift.ts';

const INPUT: JsonObject = {
  type: 'object',
  description: 'what to refund',
  properties: {
    orderId: { type: 'string', description: 'the order' },
    amountUsd: { type: 'number', minimum: 0 },
    title: { type: 'string' },
    note: { type: 'object', properties: { text: { type: 'string' } } },
  },
  required: ['orderId', 'amountUsd'],
  additionalProperties: false,
};

const PINNED: ToolContract = {
  name: 'issueRefund',
  version: '1.2.0',
  description: 'Refunds an order.',
  inputSchema: INPUT,
  outputSchema: { type: 'object', properties: { id: { type: 'string', title: 'Id' } } },
  effect: 'irreversible',
};

function withInput(change: JsonObject): Partial<ToolContract> {
  return { inputSchema: { ...INPUT, ...change } };
}

function withProperties(change: JsonObject): Partial<ToolContract> {
  return withInput({ properties: { ...(INPUT['properties'] as JsonObject), ...change } });
}

const CHANGES: readonly (readonly [string, Partial<ToolContract>, string | null])[] = [
  ['nothing', {}, null],
  ['another description', { description: 'Gives money back.' }, null],
  ['a new minor version', { version: '1.3.0' }, null],
  ['a reworded input schema', withInput({ description: 'what to give back', title: 'Refund', $comment: 'x' }), null],
  ['a reworded property', withProperties({ orderId: { type: 'string', description: 'id of the order' } }), null],
  ['a new optional property', withProperties({ currency: { type: 'string' } }), null],
  ['required properties in another order', withInput({ required: ['amountUsd', 'orderId'] }), null],
  ['a reworded output', { outputSchema: { type: 'object', properties: { id: { type: 'string' } } } }, null],
  ['another name', { name: 'refund' }, 'it is now called refund'],
  ['a new major version', { version: '2.0.0' }, 'version 1.2.0 was pinned, 2.0.0 is served'],
  ['another effect', { effect: 'write' }, 'its effect was irreversible and is now write'],
  ['a result that comes later', { deferred: true }, 'its result came at once and now comes later'],
  ['a property of another type', withProperties({ amountUsd: { type: 'string' } }), 'its input amountUsd has changed'],
  ['another bound', withProperties({ amountUsd: { type: 'number', minimum: 1 } }), 'its input amountUsd has changed'],
  [
    'a property that is called like a text and has changed',
    withProperties({ title: { type: 'number' } }),
    'its input title has changed',
  ],
  [
    'a new property inside a property',
    withProperties({ note: { type: 'object', properties: {} } }),
    'its input note has changed',
  ],
  ['a property less', withInput({ properties: { orderId: { type: 'string' } } }), 'its input amountUsd has changed'],
  ['no properties', withInput({ properties: {} }), 'its input orderId has changed'],
  [
    'a new required property',
    { inputSchema: { ...requiring('currency'), properties: { ...(INPUT['properties'] as JsonObject), currency: {} } } },
    'its input currency is now required',
  ],
  ['an optional property that is now required', { inputSchema: requiring('title') }, 'its input title is now required'],
  [
    'a required property that is now optional',
    withInput({ required: ['orderId'] }),
    'its input amountUsd is no longer required',
  ],
  ['open input', withInput({ additionalProperties: true }), 'its input schema has changed'],
  ['a schema of another kind', withInput({ type: 'array' }), 'its input schema has changed'],
  ['another output', { outputSchema: { type: 'string' } }, 'its output schema has changed'],
];

function requiring(name: string): JsonObject {
  return { ...INPUT, required: ['orderId', 'amountUsd', name] };
}

describe('contractDrift', () => {
  for (const [change, served, drift] of CHANGES) {
    it(`${drift === null ? 'passes' : 'refuses'} ${change}`, () => {
      assert.equal(contractDrift(PINNED, { ...PINNED, ...served }), drift);
    });
  }
});

describe('contracts', () => {
  it('hash everything in them', () => {
    for (const [change, served] of CHANGES.slice(1)) {
      assert.notEqual(contractHash({ ...PINNED, ...served }), contractHash(PINNED), change);
    }
  });

  it('name their activity by the major version', () => {
    assert.equal(toolActivityType({ name: 'issueRefund', version: '12.3.4' }), 'issueRefund@12');
  });
});
