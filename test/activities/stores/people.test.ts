// Goal: what people said counts once: a message by its id, a top-up by its id, an approval by its first decision.
// Method: the real repositories on PostgreSQL, with claims and decisions that race over ten connections.
import assert from 'node:assert/strict';
import { admitRun, openTestStores, randomId, type TestStores } from './support.ts';

describe('what people said', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const actions = async (target: string) => {
    const rows = stores.db.selectFrom('audit').select('action').where('target', '=', target).orderBy('seq');
    return (await rows.execute()).map(({ action }) => action);
  };

  const claim = async (runId: string, id: string, turn: number) =>
    stores.runMessages.claim(stores.tenant, { runId, id, turn, kind: 'input', principal: 'ann' }, null);
  const request = async (id: string, deadlineMs = 60_000) =>
    stores.approvals.request(stores.tenant, {
      id,
      runId: 'r',
      turn: 1,
      callIndex: 0,
      tool: 'pay',
      argsHash: 'a',
      argsRef: 'ref',
      rule: 'above-100',
      release: 'any',
      deadlineMs,
      onExpiry: 'reject',
    });
  const settle = async (id: string, state: 'approved' | 'rejected', principal = 'bea') => {
    const standing = await stores.approvals.settle(stores.tenant, {
      id,
      state,
      principal,
      messageId: 'm',
      reason: null,
      approvedHash: state === 'approved' ? 'a' : null,
      approvedRef: null,
      resultRef: null,
    });
    return standing.state;
  };

  describe('a message', () => {
    it('belongs to the turn that claimed it first, and to that one again when it is retried', async () => {
      const run = randomId('run');
      assert.deepEqual(
        [await claim(run, 'm', 3), await claim(run, 'm', 3), await claim(run, 'm', 4), await claim(run, 'n', 4)],
        [true, true, false, true],
      );
      assert.equal(await claim(randomId('run'), 'm', 4), true);
    });

    it('belongs to one turn when ten claim it at the same moment', async () => {
      const run = randomId('run');
      const claims = await Promise.all(Array.from({ length: 10 }, async (_, turn) => claim(run, 'm', turn)));
      assert.equal(claims.filter(Boolean).length, 1);
    });
  });

  it('a top-up raises the account once, however often it comes', async () => {
    const run = await admitRun(stores, { costPico: '100', tokens: 10 });
    const message = { runId: run, id: 'top-up', turn: 1, kind: 'top-up', principal: 'bea' };
    await Promise.all(
      Array.from({ length: 10 }, async () =>
        stores.runMessages.topUp(stores.tenant, message, { costPico: '50', tokens: 5 }),
      ),
    );
    const account = stores.db.selectFrom('budget_accounts').select(['cap_pico', 'cap_tokens']).where('id', '=', run);
    assert.deepEqual(await account.executeTakeFirst(), { cap_pico: '150', cap_tokens: '15' });
    assert.deepEqual(await actions(run), ['run.start', 'budget.top-up']);
  });

  describe('an approval', () => {
    it('has one deadline, however often it is asked for', async () => {
      const id = randomId('approval');
      const first = await request(id);
      assert.equal(await request(id, 1_000), first);
      assert.ok(Math.abs(first - Date.now() - 60_000) < 5_000);
      assert.deepEqual(await actions(id), ['approval.request']);
    });

    it('stands as it was decided first', async () => {
      const id = randomId('approval');
      await request(id);
      assert.deepEqual([await settle(id, 'rejected'), await settle(id, 'approved', 'eve')], ['rejected', 'rejected']);
      assert.deepEqual(await actions(id), ['approval.request', 'approval.rejected']);
    });

    it('stands as one of ten decided that came at the same moment', async () => {
      const id = randomId('approval');
      await request(id);
      const states = await Promise.all(
        Array.from({ length: 10 }, async (_, n) => settle(id, n % 2 === 0 ? 'approved' : 'rejected', `person ${n}`)),
      );
      assert.equal(new Set(states).size, 1);
      assert.equal((await actions(id)).length, 2);
      const row = stores.db.selectFrom('approvals').select(['state', 'approved_hash']).where('id', '=', id);
      const [state] = states;
      assert.deepEqual(await row.executeTakeFirst(), { state, approved_hash: state === 'approved' ? 'a' : null });
    });
  });

  it('a run is admitted once and ends once', async () => {
    const run = await admitRun(stores, { costPico: '100', tokens: 10 });
    const end = {
      outcome: { kind: 'completed' },
      answer: null,
      release: 'any',
      turns: 1,
      toolCalls: 0,
      tokens: 0,
      costPico: '0',
    } as const;
    await stores.runs.recordEnd(stores.tenant, run, null, end, 'ann');
    await stores.runs.recordEnd(stores.tenant, run, null, { ...end, outcome: { kind: 'expired' } }, 'ann');
    const progress = { phase: 'running', turns: 9, toolCalls: 9, head: null, blocked: null } as const;
    await stores.runs.recordProgress(stores.tenant, run, progress);
    const row = stores.db.selectFrom('runs').select(['phase', 'turns', 'run_end']).where('id', '=', run);
    assert.deepEqual(await row.executeTakeFirst(), { phase: 'ended', turns: 1, run_end: end });
    assert.deepEqual(await actions(run), ['run.start', 'run.end']);
  });
});
