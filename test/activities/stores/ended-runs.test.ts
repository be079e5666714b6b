// Goal: what an ended run leaves is read exactly: what was said and not yet heard, and how each call of its last turn stands.
// Method: the real repositories on PostgreSQL, with rows as a run leaves them, also those that no ordinary run leaves.
import assert from 'node:assert/strict';
import { FIRST_INPUT_ID } from '../../../src/domain/run/open-run.ts';
import type { CallVerdict, RepliedCall } from '../../../src/domain/run/results.ts';
import { closeObservation, openObservation } from '../../../src/stores/observations.ts';
import type { EndedRun, Stop } from '../../../src/stores/ended-runs.ts';
import { admitRun, newObservation, openTestStores, randomId, type TestStores } from './support.ts';

describe('an ended run', () => {
  let stores: TestStores;
  let id: string;
  before(async () => {
    stores = await openTestStores();
  });
  beforeEach(async () => {
    id = await admitRun(stores, { costPico: '1000', tokens: 1_000 });
  });
  after(async () => stores.close());

  const say = async (turn: number, text: string, ref: string | null = `ref-${text}`, kind = 'input') =>
    stores.runMessages.claim(stores.tenant, { runId: id, id: text, turn, kind, principal: 'ann', ref }, null);
  const reply = async (turn: number, heard: number, ...verdicts: readonly CallVerdict[]) => {
    const calls = verdicts.map((verdict, index): RepliedCall => ({
      tool: 'pay',
      args: { index },
      argsHash: `hash-${index}`,
      verdict,
    }));
    const result = { kind: 'replied', head: `head-${turn}`, heard, calls, model: 'm' };
    await stores.db
      .insertInto('model_replies')
      .values({
        tenant: stores.tenant,
        run_id: id,
        turn,
        head: `head-${turn}`,
        answer: null,
        result: JSON.stringify(result),
      })
      .execute();
  };
  const found = async (): Promise<EndedRun> => {
    const run = await stores.endedRuns.find(stores.tenant, id);
    assert.ok(run);
    return run;
  };
  const stop = async (): Promise<Stop> => stores.endedRuns.stopOf(stores.tenant, await found());
  const allow = { kind: 'allow' } as const;

  const standing = async (index = 0) => (await stop()).open[index]?.standing ?? null;
  const intent = (runId: string, key: string, argsHash = 'hash-0') => ({
    key,
    root: id,
    runId,
    turn: 1,
    callIndex: 0,
    tool: 'pay@1',
    contract: 'c',
    argsHash,
    sendWithinMs: 50,
    worker: 'w-000000',
    principal: 'ann',
    approvalId: null,
    destinationHoldsKeys: false,
    canReconcile: false,
    maySend: true,
    observation: newObservation(runId, 1, 'tool'),
  });
  const begin = async (key: string, argsHash?: string) => {
    const begun = await stores.effects.begin(stores.tenant, intent(id, key, argsHash));
    assert.equal(begun.kind, 'send');
    return begun.kind === 'send' ? begun.lease : assert.fail();
  };

  const deferred = () => ({ runId: id, turn: 1, callIndex: 0, tool: 'pay@1', timeoutMs: 60_000 });
  const endRun = async () => {
    const used = { turns: 1, toolCalls: 1, tokens: 0, costPico: '0' };
    const end = { outcome: { kind: 'expired' }, answer: null, release: null, ...used } as const;
    return stores.runs.recordEnd(stores.tenant, id, null, end, 'ann');
  };

  describe('what was said', () => {
    it('is what the replies have not heard, in its order', async () => {
      await say(0, FIRST_INPUT_ID, 'first');
      await reply(1, 1, allow);
      await say(1, 'one');
      // Kept by an attempt that had heard one of the two; the other one came while the run was blocked.
      await say(1, 'two');
      await reply(2, 2);
      await say(2, 'three');
      await say(2, 'pause', null, 'pause');
      const { inputs, turn, head, isInputHeard, isAnswered } = await stop();
      assert.deepEqual([inputs, turn, head], [['ref-two', 'ref-three'], 2, 'head-2']);
      assert.deepEqual([isInputHeard, isAnswered], [true, false]);
      await reply(3, 2);
      assert.deepEqual((await stop()).inputs, []);
    });

    it('counts also where the same text was said twice', async () => {
      await say(0, FIRST_INPUT_ID, 'first');
      await reply(1, 1);
      await say(1, 'again', 'same');
      await say(1, 'and again', 'same');
      await reply(2, 1);
      assert.deepEqual((await stop()).inputs, ['same']);
    });

    it('is null where an older version did not note it, and the first input then counts as not read', async () => {
      await say(0, FIRST_INPUT_ID, null);
      assert.deepEqual([(await stop()).isInputHeard, (await stop()).inputs], [false, []]);
      await say(0, 'more', null);
      assert.deepEqual((await stop()).inputs, [null]);
      await reply(1, 2);
      assert.deepEqual([(await stop()).isInputHeard, (await stop()).inputs], [true, []]);
    });
  });

  describe('a call of its last turn', () => {
    it('has the result of the read that succeeded, not of one that failed', async () => {
      await reply(1, 0, allow, allow);
      for (const [callIndex, outcome] of [
        [0, 'failed'],
        [0, 'ok'],
        [1, 'failed'],
      ] as const) {
        const open = await openObservation(stores.db, stores.tenant, { ...newObservation(id, 1, 'tool'), callIndex });
        await closeObservation(stores.db, open, { outcome, ref: `${outcome}-${callIndex}` });
      }
      assert.deepEqual(await standing(0), { kind: 'result', ref: 'ok-0' });
      assert.equal(await standing(1), null);
    });

    it('has the outcome that the ledger has, and is begun while the ledger has none', async () => {
      await reply(1, 0, allow);
      const key = randomId('key');
      const lease = await begin(key);
      const begun = { kind: 'begun', key, argsHash: 'hash-0', argsRef: null, approval: null };
      assert.deepEqual(await standing(), begun);
      await stores.effects.closeAttempt(stores.tenant, lease, 'lost', 'no answer');
      assert.deepEqual(await standing(), begun);
      await stores.effects.settle(stores.tenant, lease, { state: 'succeeded', ref: 'paid', how: 'replied' });
      assert.deepEqual(await standing(), { kind: 'result', ref: 'paid' });
    });

    it('is open when it is certain that nothing was sent, and when the effect is another call’s', async () => {
      await reply(1, 0, allow);
      const lease = await begin(randomId('key'));
      await stores.effects.closeAttempt(stores.tenant, lease, 'not-sent', 'away');
      assert.equal(await standing(), null);
      const other = await begin(randomId('key'), 'hash-of-another-reply');
      await stores.effects.settle(stores.tenant, other, { state: 'succeeded', ref: 'else', how: 'replied' });
      assert.equal(await standing(), null);
    });

    for (const [what, outcome, expected] of [
      ['never asked', null, null],
      ['refused', { state: 'failed', ref: 'said no' }, { kind: 'result', ref: 'said no' }],
      ['begun, and nobody came to note it', { state: 'succeeded', ref: 'note' }, { kind: 'awaited' }],
    ] as const) {
      it(`is awaited only where its deferred work was begun: ${what}`, async () => {
        await reply(1, 0, allow);
        await stores.deferredCalls.open(stores.tenant, deferred());
        if (outcome !== null) {
          await stores.effects.settle(stores.tenant, await begin(randomId('key')), { ...outcome, how: 'replied' });
        }
        await endRun();
        assert.deepEqual(await standing(), expected);
      });
    }

    it('is awaited where its deferred work waited for a result', async () => {
      await reply(1, 0, allow);
      const token = await stores.deferredCalls.open(stores.tenant, deferred());
      await stores.deferredCalls.letWait(stores.tenant, token, { timeoutMs: null, noteRef: 'note' });
      await endRun();
      assert.deepEqual(await standing(), { kind: 'awaited' });
    });

    it('gives an effect that nobody knows of to the run that meets it next', async () => {
      await reply(1, 0, allow);
      const key = randomId('key');
      const lease = await begin(key);
      await stores.effects.declareUnknown(stores.tenant, lease, 'lost');
      assert.deepEqual(await stores.effects.begin(stores.tenant, intent('successor', key)), { kind: 'unknown' });
      const rows = stores.db.selectFrom('effects').select('run_id').where('key', '=', key);
      assert.deepEqual(await rows.execute(), [{ run_id: 'successor' }]);
    });
  });

  it('is found in its own tenant only', async () => {
    assert.equal((await found()).end, null);
    assert.equal(await stores.endedRuns.find(randomId('tenant'), id), null);
  });
});
