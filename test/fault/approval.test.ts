// Goal: an approval outlives every process, and one that is sent while no worker runs is not lost.
// Method: kills worker, Temporal and PostgreSQL while a run waits, brings all of them back, and decides with a client that knows the run's id.
import assert from 'node:assert/strict';
import { connect } from '../../src/client/index.ts';
import { type KillableServers, startKillableServers } from '../support/crash/killable-servers.ts';
import { type Handle, type Lab, openLab } from '../support/crash/lab.ts';
import { until } from '../support/crash/until.ts';

describe('an approval', function () {
  this.timeout(120_000);
  let servers: KillableServers;
  let lab: Lab;

  before(async () => {
    servers = await startKillableServers();
    lab = await openLab(servers);
  });

  after(async () => lab.close());

  const ask = async (name: string) => {
    lab.destination.expect(name, 'keyed');
    const group = lab.group(name);
    const worker = group.worker();
    const call = { tool: 'payKeyed', input: { case: name, amount: 2_000_000 } };
    const handle = await group.start({ turns: [[call]] });
    await until('the run waits for approval', async () => (await approvalOf(handle)) !== undefined);
    return { group, worker, handle };
  };

  const approvalOf = (handle: Handle) =>
    lab.stores.db
      .selectFrom('approvals')
      .select(['id', 'args_hash'])
      .where('run_id', '=', handle.workflowId)
      .executeTakeFirst();

  const decide = async (handle: Handle) => {
    const { address } = servers.temporal;
    const client = await connect({ address, namespace: servers.temporal.namespace, principal: 'bea' });
    try {
      return await client.run(handle.workflowId).decideApproval({ decision: { kind: 'approve' } });
    } finally {
      await client.close();
    }
  };

  const paid = (name: string): number => lab.destination.of(name).applied;

  it('is decided by a client that knows only the id of the run, after every process was restarted', async () => {
    const { group, worker, handle } = await ask('restarted');
    await worker.kill();
    const { temporal, postgres } = servers.killable;
    await Promise.all([temporal.kill(), postgres.kill()]);
    await Promise.all([temporal.restart(), postgres.restart()]);
    await group.worker().ready;
    assert.deepEqual(await decide(handle), { result: 'applied' });
    assert.equal((await handle.result()).outcome.kind, 'completed');
    assert.equal(paid('restarted'), 1);
  });

  it('that is sent while no worker runs is applied when one is back', async () => {
    const { group, worker, handle } = await ask('alone');
    const row = await approvalOf(handle);
    assert.ok(row);
    await worker.kill();
    const { address, namespace } = servers.temporal;
    const client = await connect({ address, namespace, principal: 'bea' });
    const sent = await client.run(handle.workflowId).decideApproval({
      decision: { kind: 'approve' },
      approvalId: row.id,
      argsHash: row.args_hash,
    });
    await client.close();
    assert.deepEqual(sent, { result: 'sent' });
    assert.equal(paid('alone'), 0);
    await group.worker().ready;
    assert.equal((await handle.result()).outcome.kind, 'completed');
    assert.equal(paid('alone'), 1);
  });
});
