// Goal: a deferred call has one token whoever asks and however often, one deadline, and one result: the first.
// Method: the real repository on PostgreSQL, with openings and settlements that race over ten connections.
import assert from 'node:assert/strict';
import { readDeferredToken } from '../../../src/domain/run/deferred-token.ts';
import type { DeferredSettlement } from '../../../src/stores/deferred-calls.ts';
import { openTestStores, randomId, type TestStores } from './support.ts';

const RACERS = [0, 1, 2, 3, 4];

describe('a deferred call in the database', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const open = async (runId: string) =>
    stores.deferredCalls.open(stores.tenant, { runId, turn: 2, callIndex: 1, tool: 'quote@1', timeoutMs: 1_000 });

  it('has one token for all attempts, and it names the call', async () => {
    const runId = randomId('run');
    const tokens = await Promise.all(RACERS.map(async () => open(runId)));
    assert.equal(new Set(tokens).size, 1);
    const token = tokens[0] ?? assert.fail('no token');
    assert.deepEqual(readDeferredToken(token), { runId, turn: 2, index: 1 });
    const position = { runId, turn: 2, callIndex: 1 };
    assert.equal(await stores.deferredCalls.tokenOf(stores.tenant, position), token);
    assert.equal(await stores.deferredCalls.tokenOf(randomId('other'), position), null);
    await assert.rejects(stores.deferredCalls.standing(randomId('other'), token), /has no row/);
    assert.notEqual((await open(randomId('run'))).slice(-22), token.slice(-22));
  });

  it('gets its time when it has begun, and only once', async () => {
    const token = await open(randomId('run'));
    const wait = { timeoutMs: 60_000, noteRef: 'note' };
    const first = await stores.deferredCalls.letWait(stores.tenant, token, wait);
    assert.ok(first - Date.now() > 30_000);
    const again = { timeoutMs: 900_000, noteRef: 'other' };
    assert.equal(await stores.deferredCalls.letWait(stores.tenant, token, again), first);
  });

  it('takes the first result only, with one record in the audit', async () => {
    const runId = randomId('run');
    const token = await open(runId);
    const settlement = { state: 'completed', principal: 'bea', messageId: 'm', ref: 'ref-0' } as const;
    const settle = async (change: Partial<DeferredSettlement>) =>
      stores.deferredCalls.settle(stores.tenant, token, { ...settlement, ...change });
    await assert.rejects(settle({}), /stands as beginning/);
    await stores.deferredCalls.letWait(stores.tenant, token, { timeoutMs: 60_000, noteRef: 'note' });
    const refs = await Promise.all(RACERS.map(async (racer) => settle({ ref: `ref-${racer}` })));
    assert.equal(new Set(refs).size, 1);
    assert.equal(await settle({ state: 'expired', ref: 'late' }), refs[0]);
    const audit = stores.db.selectFrom('audit').select('action').where('target', '=', runId);
    assert.deepEqual(await audit.execute(), [{ action: 'tool.completed' }]);
  });
});
