// Goal: every attempt at a model call stands on its run's receipt, called or not, and what a provider knows settles it once.
// Method: the real rows on PostgreSQL, with attempts that are kept, refused, lost, asked about and late.
import assert from 'node:assert/strict';
import { addUp } from '../../../src/domain/run/receipt.ts';
import type { Usage } from '../../../src/domain/model/usage.ts';
import type { StoredReply } from '../../../src/stores/database.ts';
import type { ModelAttempt } from '../../../src/stores/model-calls.ts';
import { createRunReader } from '../../../src/stores/run-reader.ts';
import { admitRun, newObservation, openTestStores, randomId, type TestStores } from './support.ts';

const REPLY: StoredReply = { kind: 'replied', head: 'h', heard: 1, calls: [], model: 'm' };
const USAGE: Usage = { inputTokens: 5, outputTokens: 2, cacheReadTokens: 1, cacheWriteTokens: 0, reasoningTokens: 1 };
const FOUND = { usage: USAGE, costPico: 70n, priceVersion: 'p' };
const CHARGE = { kind: 'settled', costPico: 70n, tokens: 7 } as const;

describe('the rows of a receipt', () => {
  let stores: TestStores;

  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const reserve = async (runId: string, turn: number, unansweredMax = 8) => {
    const id = randomId('b');
    const observation = newObservation(runId, turn, 'model');
    const reservation = { id, worstPico: 100n, worstTokens: 10, unusableMax: 2, unansweredMax };
    const reserved = await stores.modelCalls.reserve(stores.tenant, reservation, observation);
    return { reserved, name: observation.name, attempt: { runId, turn, reservationId: id } };
  };

  const begin = async (runId: string, turn = 1): Promise<ModelAttempt & { readonly name: string }> => {
    const { reserved, attempt, name } = await reserve(runId, turn);
    assert.ok(reserved.kind === 'reserved');
    return { ...attempt, name, observation: reserved.observation };
  };

  const settle = async (attempt: ModelAttempt, reply: StoredReply | null = REPLY) =>
    stores.modelCalls.settle(
      stores.tenant,
      attempt,
      CHARGE,
      { outcome: reply === null ? 'failed' : 'replied', ...FOUND },
      reply,
    );

  const settleAsked = async (runId: string, name: string): Promise<number> => {
    const calls = await stores.unansweredCalls.list(stores.tenant, runId, name);
    for (const call of calls) await stores.unansweredCalls.settle(stores.tenant, call, CHARGE, FOUND);
    return calls.length;
  };

  const receiptOf = async (runId: string) => {
    const receipt = await createRunReader(stores).receipt(stores.tenant, runId);
    assert.ok(receipt !== null);
    const { account, attempts } = receipt;
    assert.deepEqual(addUp({ runId, endCostPico: null, account, attempts }).differences, []);
    return {
      spent: account?.spentPico,
      held: account?.heldPico,
      rows: attempts.map(({ outcome, reservation, inputTokens }) => [outcome, reservation?.state ?? null, inputTokens]),
    };
  };

  const admit = async (costPico: string) => admitRun(stores, { costPico, tokens: 1_000 });

  it('have an attempt that gave a kept reply, and one that the budget refused', async () => {
    const run = await admit('150');
    await settle(await begin(run));
    assert.equal((await reserve(run, 1)).reserved.kind, 'replied');
    assert.equal((await reserve(run, 2)).reserved.kind, 'budget-refused');
    assert.deepEqual(await receiptOf(run), {
      spent: '70',
      held: '0',
      rows: [
        ['replied', 'settled', 5],
        ['kept', null, null],
        ['budget-refused', null, null],
      ],
    });
  });

  it('have attempts that were refused for what others hold, and for their number', async () => {
    const run = await admit('150');
    await begin(run);
    assert.equal((await reserve(run, 2)).reserved.kind, 'budget-held');
    assert.equal((await reserve(run, 1, 1)).reserved.kind, 'too-many-calls');
    const { rows, held } = await receiptOf(run);
    assert.deepEqual([rows.map(([outcome]) => outcome), held], [['killed', 'budget-held', 'refused'], '100']);
  });

  it('take what a provider knows of a lost call, once, and set free what it held', async () => {
    const run = await admit('150');
    const { name } = await begin(run);
    assert.equal((await reserve(run, 1)).reserved.kind, 'budget-held');
    assert.equal(await settleAsked(run, 'other:model'), 0);
    assert.equal(await settleAsked(run, name), 1);
    assert.equal(await settleAsked(run, name), 0);
    const { spent, held, rows } = await receiptOf(run);
    assert.deepEqual([spent, held, rows[0]], ['70', '0', ['killed', 'settled', 5]]);
  });

  it('stay as they are when the attempt itself answers after its provider was asked', async () => {
    const run = await admit('1000');
    const late = await begin(run);
    const calls = await stores.unansweredCalls.list(stores.tenant, run, late.name);
    await settle(late);
    for (const call of calls) await stores.unansweredCalls.settle(stores.tenant, call, { kind: 'free' }, null);
    const asked = await begin(run, 2);
    assert.equal(await settleAsked(run, asked.name), 1);
    await settle(asked);
    assert.deepEqual(await receiptOf(run), {
      spent: '140',
      held: '0',
      rows: [
        ['replied', 'settled', 5],
        ['replied', 'settled', 5],
      ],
    });
  });

  it('count a lost call as unanswered, not as unusable, when its provider was paid for it', async () => {
    const run = await admit('100000');
    for (let lost = 0; lost < 3; lost += 1) {
      const { name } = await begin(run);
      await settleAsked(run, name);
    }
    const asked = (await reserve(run, 1, 3)).reserved;
    assert.deepEqual(asked, { kind: 'too-many-calls', what: 'unanswered', calls: 3 });
    await settle(await begin(run, 2), null);
    await settle(await begin(run, 2), null);
    assert.deepEqual((await reserve(run, 2)).reserved, { kind: 'too-many-calls', what: 'unusable', calls: 2 });
  });

  it('give a call free that its provider has seen and does not charge', async () => {
    const run = await admit('1000');
    const { name } = await begin(run);
    const calls = await stores.unansweredCalls.list(stores.tenant, run, name);
    for (const call of calls) await stores.unansweredCalls.settle(stores.tenant, call, { kind: 'free' }, null);
    assert.deepEqual(await receiptOf(run), { spent: '0', held: '0', rows: [['open', 'released', null]] });
  });

  it('say what was counted beside, word for word, so that the price can be computed again', async () => {
    const run = await admit('1000');
    const details = { cacheWriteHourTokens: 1, audioInputTokens: 2, webSearches: 3 };
    const usage = { ...USAGE, cacheWriteTokens: 2, ...details };
    const first = await begin(run);
    await stores.modelCalls.settle(stores.tenant, first, CHARGE, { outcome: 'replied', ...FOUND, usage }, REPLY);
    await settle(await begin(run, 2));
    const { name } = await begin(run, 3);
    const calls = await stores.unansweredCalls.list(stores.tenant, run, name);
    for (const call of calls) await stores.unansweredCalls.settle(stores.tenant, call, CHARGE, { ...FOUND, usage });
    const receipt = await createRunReader(stores).receipt(stores.tenant, run);
    assert.deepEqual(
      receipt?.attempts.map(({ usageDetails }) => usageDetails ?? null),
      [details, null, details],
    );
  });
});
