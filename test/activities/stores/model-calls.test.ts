// Goal: what a run has spent and holds never exceeds its cap, and a reply that was paid for is kept and never paid for again.
// Method: the real accounts on PostgreSQL; attempts that race, die, answer late or fail for free.
import assert from 'node:assert/strict';
import type { StoredReply } from '../../../src/stores/database.ts';
import type { ModelAttempt, Reserved } from '../../../src/stores/model-calls.ts';
import { createLogger } from '../../../src/runtime/logger.ts';
import { createStores } from '../../../src/stores/stores.ts';
import { createMetrics } from '../../../src/workers/metrics/create-metrics.ts';
import { measureAttempt } from '../../../src/workers/metrics/measure-attempts.ts';
import { reportCharges } from '../../../src/workers/report-budgets.ts';
import { parseExposition } from '../../support/observe/exposition.ts';
import { admitRun, newObservation, openTestStores, randomId, type TestStores } from './support.ts';

const WORST_PICO = 100n;
const WORST_TOKENS = 10;
const CALLS_MAX = { unusableMax: 4, unansweredMax: 8 };
const REPLY: StoredReply = { kind: 'replied', head: 'h', heard: 1, calls: [], model: 'm' };

const open = ({
  reserved,
  attempt,
}: {
  reserved: Reserved;
  attempt: Omit<ModelAttempt, 'observation'>;
}): ModelAttempt => {
  assert.equal(reserved.kind, 'reserved');
  return { ...attempt, observation: (reserved as Reserved & { kind: 'reserved' }).observation };
};

describe('model calls', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const reserve = async (runId: string, turn: number, id = randomId('reservation')) => {
    const reservation = { id, worstPico: WORST_PICO, worstTokens: WORST_TOKENS, ...CALLS_MAX };
    const reserved = await stores.modelCalls.reserve(stores.tenant, reservation, newObservation(runId, turn, 'model'));
    return { reserved, attempt: { runId, turn, reservationId: id } };
  };
  const settle = async (attempt: ModelAttempt, costPico: bigint, reply: StoredReply | null = REPLY) =>
    stores.modelCalls.settle(
      stores.tenant,
      attempt,
      { kind: 'settled', costPico, tokens: 1 },
      { outcome: 'replied', costPico },
      reply,
    );
  const account = async (runId: string) => {
    const row = await stores.db
      .selectFrom('budget_accounts')
      .selectAll()
      .where('id', '=', runId)
      .executeTakeFirstOrThrow();
    return { spent: BigInt(row.spent_pico), held: BigInt(row.held_pico), heldTokens: Number(row.held_tokens) };
  };
  const admit = async (costPico = 1_000n, tokens = 1_000) => admitRun(stores, { costPico: String(costPico), tokens });

  it('reserves the worst case, then settles the actual', async () => {
    const run = await admit();
    const attempt = open(await reserve(run, 1));
    assert.deepEqual(await account(run), { spent: 0n, held: WORST_PICO, heldTokens: WORST_TOKENS });
    const { reply, total } = await settle(attempt, 7n);
    assert.deepEqual([reply, total], [REPLY, { costPico: '7', tokens: 1 }]);
    assert.deepEqual(await account(run), { spent: 7n, held: 0n, heldTokens: 0 });
  });

  it('never lets attempts at the same moment past the cap', async () => {
    const run = await admit(550n);
    const attempts = await Promise.all(Array.from({ length: 20 }, async (_, turn) => reserve(run, turn)));
    const kinds = attempts.map(({ reserved }) => reserved.kind);
    assert.equal(kinds.filter((kind) => kind === 'reserved').length, 5);
    assert.equal(kinds.filter((kind) => kind === 'budget-held').length, 15);
    assert.deepEqual(await account(run), { spent: 0n, held: 500n, heldTokens: 50 });
    await Promise.all(
      attempts
        .filter(({ reserved }) => reserved.kind === 'reserved')
        .map(async (each) => settle(open(each), WORST_PICO)),
    );
    assert.deepEqual(await account(run), { spent: 500n, held: 0n, heldTokens: 0 });
    assert.equal((await reserve(run, 99)).reserved.kind, 'budget-refused');
  });

  it('refuses by the dimension that is used up', async () => {
    const [byMoney] = [await reserve(await admit(99n), 1)];
    assert.deepEqual(byMoney.reserved, {
      kind: 'budget-refused',
      dimension: 'usd',
      total: { costPico: '0', tokens: 0 },
    });
    const byTokens = await reserve(await admit(1_000n, 9), 1);
    assert.ok(byTokens.reserved.kind === 'budget-refused' && byTokens.reserved.dimension === 'tokens');
  });

  it('tells what is used up from what calls without an answer hold', async () => {
    const run = await admit(250n);
    await settle(open(await reserve(run, 1)), 100n);
    await reserve(run, 2);
    const held = { kind: 'budget-held', dimension: 'usd', calls: 1, heldPico: 100n, heldTokens: 10 };
    assert.deepEqual((await reserve(run, 2)).reserved, held);
    assert.deepEqual(await account(run), { spent: 100n, held: 100n, heldTokens: 10 });
    const byTokens = await admit(1_000n, 15);
    await reserve(byTokens, 1);
    assert.deepEqual((await reserve(byTokens, 1)).reserved, { ...held, dimension: 'tokens' });
    const late = open(await reserve(await admit(100n), 1));
    await settle(late, 50n);
    assert.equal((await reserve(late.runId, 2)).reserved.kind, 'budget-refused');
  });

  it('keeps a reply whatever characters it holds', async () => {
    const run = await admit();
    const odd = { text: '\u0000 \ud83d \\u0000', '\u0000': '\udc00' };
    const call = { tool: 'look', args: odd, argsHash: 'a', verdict: { kind: 'allow' } } as const;
    const reply: StoredReply = { ...REPLY, calls: [call] };
    const attempt = open(await reserve(run, 1));
    const kept = await settle(attempt, 7n, reply);
    assert.deepEqual(kept.reply, reply);
    assert.deepEqual((await reserve(run, 1)).reserved, { kind: 'replied', reply, total: kept.total });
  });

  it('writes down what others said whatever characters it holds', async () => {
    const attempt = open(await reserve(await admit(), 1));
    const closed = { outcome: 'failed', message: 'a\u0000b\ud83d', model: 'm\u0000' };
    await stores.modelCalls.settle(stores.tenant, attempt, { kind: 'free' }, closed, null);
    const row = await stores.db
      .selectFrom('observations')
      .select(['message', 'model'])
      .where('id', '=', attempt.observation.id)
      .executeTakeFirstOrThrow();
    assert.deepEqual(row, { message: 'a b\ufffd', model: 'm ' });
  });

  it('holds what an attempt reserved that died, beside the next one', async () => {
    const run = await admit();
    await reserve(run, 1);
    const second = open(await reserve(run, 1));
    assert.deepEqual(await account(run), { spent: 0n, held: 200n, heldTokens: 20 });
    await settle(second, 7n);
    assert.deepEqual(await account(run), { spent: 7n, held: 100n, heldTokens: 10 });
  });

  it('charges an attempt that was given up and still answers, and keeps the reply that came first', async () => {
    const run = await admit();
    const first = open(await reserve(run, 1));
    const second = open(await reserve(run, 1));
    const { reply } = await settle(second, 7n);
    const late = await settle(first, 9n, { ...REPLY, head: 'late' });
    assert.deepEqual([late.reply, reply], [REPLY, REPLY]);
    assert.deepEqual(late.total, { costPico: '16', tokens: 2 });
    assert.deepEqual(await account(run), { spent: 16n, held: 0n, heldTokens: 0 });
  });

  it('gives a kept reply instead of another call', async () => {
    const run = await admit();
    await settle(open(await reserve(run, 1)), 7n);
    const { reserved } = await reserve(run, 1);
    assert.deepEqual(reserved, { kind: 'replied', reply: REPLY, total: { costPico: '7', tokens: 1 } });
    assert.deepEqual(await account(run), { spent: 7n, held: 0n, heldTokens: 0 });
  });

  it('settles an attempt once', async () => {
    const run = await admit();
    const attempt = open(await reserve(run, 1));
    await Promise.all([settle(attempt, 7n), settle(attempt, 7n), settle(attempt, 7n)]);
    assert.deepEqual(await account(run), { spent: 7n, held: 0n, heldTokens: 0 });
  });

  it('charges in full what cost more than was reserved, and says so', async () => {
    const run = await admit();
    const metrics = createMetrics();
    const logger = createLogger('fatal');
    const lines: unknown[][] = [];
    logger.warn = (...told: unknown[]) => void lines.push(told);
    const onAttemptClosed = reportCharges(logger, (each) => measureAttempt(metrics, each));
    const { modelCalls } = createStores(stores.db, { onAttemptClosed });
    const attempt = open(await reserve(run, 1));
    const charge = { kind: 'settled', costPico: WORST_PICO + 7n, tokens: 1 } as const;
    await modelCalls.settle(stores.tenant, attempt, charge, { outcome: 'replied' }, REPLY);
    assert.deepEqual(await account(run), { spent: 107n, held: 0n, heldTokens: 0 });
    const { agent, name } = attempt.observation;
    const problem = `${name} charged 0.000000000107 USD, 0.000000000007 USD more than was reserved`;
    assert.deepEqual(lines, [[{ agent, problem }, 'a call cost more than was reserved']]);
    const { sum } = parseExposition(await metrics.expose());
    assert.equal(sum('perdure_model_cost_over_reserved_usd_total', { agent, model: name }), 7e-12);
    await modelCalls.settle(
      stores.tenant,
      open(await reserve(run, 2)),
      { ...charge, costPico: WORST_PICO },
      { outcome: 'replied' },
      REPLY,
    );
    assert.equal(lines.length, 1);
  });

  it('releases a call that was free, and counts only the others', async () => {
    const run = await admit(100_000n, 100_000);
    for (let call = 0; call < 20; call += 1) {
      const attempt = open(await reserve(run, 1));
      await stores.modelCalls.settle(stores.tenant, attempt, { kind: 'free' }, { outcome: 'failed' }, null);
    }
    assert.deepEqual(await account(run), { spent: 0n, held: 0n, heldTokens: 0 });
    for (let call = 0; call < 8; call += 1) {
      const attempt = open(await reserve(run, 1));
      await stores.modelCalls.settle(stores.tenant, attempt, { kind: 'held' }, { outcome: 'failed' }, null);
    }
    const unanswered = { kind: 'too-many-calls', what: 'unanswered', calls: 8 };
    assert.deepEqual((await reserve(run, 1)).reserved, unanswered);
    assert.deepEqual(await account(run), { spent: 0n, held: 800n, heldTokens: 80 });
    for (let call = 0; call < 4; call += 1) await settle(open(await reserve(run, 2)), 1n, null);
    const unusable = { kind: 'too-many-calls', what: 'unusable', calls: 4 };
    assert.deepEqual((await reserve(run, 2)).reserved, unusable);
  });

  it('keeps a summary by what was asked, and counts its calls apart from those of the turn', async () => {
    const run = await admit(100_000n, 100_000);
    const reserveSummary = async (summaryKey: string) => {
      const reservation = {
        id: randomId('r'),
        worstPico: WORST_PICO,
        worstTokens: WORST_TOKENS,
        summaryKey,
        ...CALLS_MAX,
      };
      const observation = newObservation(run, 1, 'compact');
      const reserved = await stores.modelCalls.reserveSummary(stores.tenant, reservation, observation);
      return { reserved, attempt: { runId: run, turn: 1, reservationId: reservation.id } };
    };
    const settleSummary = async (reserved: Awaited<ReturnType<typeof reserveSummary>>, key: string, ref: string) => {
      if (reserved.reserved.kind !== 'reserved') return assert.fail(reserved.reserved.kind);
      const attempt = { ...reserved.attempt, observation: reserved.reserved.observation };
      const charge = { kind: 'settled', costPico: 7n, tokens: 3 } as const;
      return stores.modelCalls.settleSummary(stores.tenant, attempt, charge, { outcome: 'summarised' }, { key, ref });
    };
    for (let call = 0; call < 4; call += 1) await settle(open(await reserve(run, 1)), 1n, null);
    assert.equal((await reserve(run, 1)).reserved.kind, 'too-many-calls');
    const [slow, fast] = [await reserveSummary('one'), await reserveSummary('one')];
    assert.deepEqual(await settleSummary(fast, 'one', 'first'), { ref: 'first', total: { costPico: '11', tokens: 7 } });
    // The attempt that was given up still answers: it is charged, and the summary that was kept counts.
    assert.equal((await settleSummary(slow, 'one', 'second')).ref, 'first');
    const kept = (await reserveSummary('one')).reserved;
    assert.deepEqual(kept, { kind: 'summarised', ref: 'first', total: { costPico: '18', tokens: 10 } });
    assert.equal((await reserveSummary('two')).reserved.kind, 'reserved');
    assert.deepEqual(await account(run), { spent: 18n, held: WORST_PICO, heldTokens: WORST_TOKENS });
  });

  it('does not know a run of another tenant', async () => {
    const run = await admit();
    const reservation = { id: randomId('r'), worstPico: 1n, worstTokens: 1, ...CALLS_MAX };
    await assert.rejects(
      stores.modelCalls.reserve(randomId('tenant'), reservation, newObservation(run, 1, 'model')),
      /has no budget account/,
    );
  });
});
