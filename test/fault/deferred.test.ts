// Goal: a worker that dies anywhere between the intent of a deferred call and its result loses neither the token nor a result that came for it.
// Method: kills real workers at every point of the call, gives the result while none runs, and counts what was begun at the destination.
import assert from 'node:assert/strict';
import { connect } from '../../src/client/index.ts';
import type { FailpointName } from '../../src/domain/failpoint.ts';
import { type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { until } from '../support/crash/until.ts';
import { startTestServers, type TestServers } from '../support/servers.ts';

/** Where a worker dies, and how often the destination then hears of the write: it gives the first result again for a key. */
const KILLED: readonly (readonly [FailpointName, number])[] = [
  ['effect:before-intent', 1],
  ['effect:intended', 1],
  ['effect:replied', 2],
  ['effect:settling', 2],
  ['effect:settled', 1],
];

describe('a deferred call', function () {
  this.timeout(240_000);
  let servers: TestServers;
  let lab: Lab;

  before(async () => {
    servers = await startTestServers();
    lab = await openLab(servers);
  });
  after(async () => lab.close());

  const tokenOf = async (handle: Handle): Promise<string> => {
    let token: string | null = null;
    await until('the call has its token', async () => {
      const position = { runId: handle.workflowId, turn: 1, callIndex: 0 };
      token = await lab.stores.deferredCalls.tokenOf(TENANT, position);
      return token !== null;
    });
    return token ?? assert.fail('no token');
  };
  const complete = async (token: string, output: object): Promise<string> => {
    const { address, namespace } = servers.temporal;
    const client = await connect({ address, namespace, principal: 'bea', answerMs: 1_000 });
    try {
      return (await client.completeTool(token, { output: output as { readonly [name: string]: string } })).result;
    } finally {
      await client.close();
    }
  };
  const stateOf = async (token: string) => (await lab.stores.deferredCalls.standing(TENANT, token)).state;

  for (const [failpoint, arrivals] of KILLED) {
    it(`takes its result when its worker is killed at ${failpoint}`, async () => {
      const name = failpoint.replace(':', '-');
      lab.destination.expect(name, 'keyed');
      const group = lab.group(name);
      const worker = group.worker(`${failpoint}=kill`);
      const call = { tool: 'orderKeyed', input: { case: name, amount: 7 } };
      const handle = await group.start({ turns: [[call]] });
      assert.equal(await worker.ended, 'SIGKILL');
      const token = await tokenOf(handle);
      assert.equal(await complete(token, { payment: 'p-1' }), 'sent');
      assert.equal(await stateOf(token), 'beginning');
      await group.worker().ready;
      const { outcome, answer } = await handle.result();
      assert.deepEqual([outcome.kind, answer?.preview], ['completed', 'done after 1 results']);
      assert.equal(await stateOf(token), 'completed');
      assert.equal(await tokenOf(handle), token);
      const { applied, arrivals: heard } = lab.destination.of(name);
      assert.deepEqual([applied, heard], [1, arrivals]);
      await group.close();
    });
  }

  it('of a read begins again with the same token', async () => {
    const group = lab.group('begin-again');
    const worker = group.worker();
    const call = { tool: 'beginReading', input: { case: 'begin-again', ms: 3_000 } };
    const handle = await group.start({ turns: [[call]] });
    const reads = (): number => lab.destination.reads.filter((read) => read === 'begin-again').length;
    await until('it is begun', () => reads() === 1);
    const token = await tokenOf(handle);
    await worker.kill();
    await group.worker().ready;
    await until('it waits', async () => (await stateOf(token)) === 'waiting');
    assert.equal(await tokenOf(handle), token);
    assert.equal(reads(), 2);
    await complete(token, { read: 'late' });
    assert.equal((await handle.result()).outcome.kind, 'completed');
    await group.close();
  });
});
