// Goal: what a provider was found to have charged stands, whatever the attempt itself says of it afterwards, and the receipt adds up.
// Method: the real accounts and rows on PostgreSQL; a call that is settled by its provider's word while it is under way.
import assert from 'node:assert/strict';
import { addUp } from '../../../src/domain/run/receipt.ts';
import type { Charge } from '../../../src/stores/budget-account.ts';
import { createRunReader } from '../../../src/stores/run-reader.ts';
import type { StoredReply } from '../../../src/stores/database.ts';
import type { ClosedObservation } from '../../../src/stores/observations.ts';
import { admitRun, newObservation, openTestStores, randomId, type TestStores } from './support.ts';

const USAGE = { inputTokens: 5, outputTokens: 2, cacheReadTokens: 1, cacheWriteTokens: 0, reasoningTokens: 1 };
const FOUND = { usage: USAGE, costPico: 70n, priceVersion: 'p' };
const REPLY: StoredReply = { kind: 'replied', head: 'h', heard: 1, calls: [], model: 'm' };

const ENDS: readonly (readonly [string, Charge, ClosedObservation, StoredReply | null])[] = [
  ['fails', { kind: 'held' }, { outcome: 'failed', cause: 'model-error', message: 'took longer', model: 'm' }, null],
  [
    'answers without saying what it used',
    { kind: 'settled', costPico: 100n, tokens: 10 },
    { outcome: 'replied', usage: { ...USAGE, inputTokens: 8 }, costPico: 100n, model: 'm', priceVersion: 'p' },
    REPLY,
  ],
];

describe('what a provider was found to have charged', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  for (const [what, charge, closed, reply] of ENDS) {
    it(`stands where the attempt then ${what}`, async () => {
      const runId = await admitRun(stores, { costPico: '1000', tokens: 1_000 });
      const id = randomId('reservation');
      const reservation = { id, worstPico: 100n, worstTokens: 10, unusableMax: 2, unansweredMax: 8 };
      const observation = newObservation(runId, 1, 'model');
      const reserved = await stores.modelCalls.reserve(stores.tenant, reservation, observation);
      assert.ok(reserved.kind === 'reserved');
      const [call] = await stores.unansweredCalls.list(stores.tenant, runId, observation.name);
      assert.ok(call !== undefined);
      const found = { kind: 'settled', costPico: 70n, tokens: 7 } as const;
      await stores.unansweredCalls.settle(stores.tenant, call, found, FOUND);
      const attempt = { runId, turn: 1, reservationId: id, observation: reserved.observation };
      await stores.modelCalls.settle(stores.tenant, attempt, charge, closed, reply);
      const receipt = (await createRunReader(stores).receipt(stores.tenant, runId)) ?? assert.fail('no receipt');
      const { account, attempts } = receipt;
      const [only] = attempts;
      assert.deepEqual(
        [only?.outcome, only?.reservation?.state, only?.reservation?.actualPico, only?.costPico, only?.inputTokens],
        [closed.outcome, 'settled', '70', '70', 5],
      );
      assert.deepEqual(addUp({ runId, endCostPico: null, account, attempts }).differences, []);
    });
  }
});
