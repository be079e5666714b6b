// Goal: no run is lost and no write is made twice when Temporal or PostgreSQL is killed, at every failpoint, in the middle of a transaction too.
// Method: holds real workers at each failpoint, kills the servers, brings them back on the same data, and lets the workers go on.
import assert from 'node:assert/strict';
import { FAILPOINTS, type FailpointName } from '../../src/domain/failpoint.ts';
import { type Killable, type KillableServers, startKillableServers } from '../support/crash/killable-servers.ts';
import { type ArmedFailpoints, type Handle, type Lab, openLab } from '../support/crash/lab.ts';
import { answerByPlan, providerEnvironment } from '../support/crash/model-answer.ts';
import type { Plan } from '../support/crash/plan.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import { finishRow, KINDS, type Row, startCases } from '../support/crash/write-cases.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';

const once = '1/1 succeeded';
/** Every failpoint, in the order in which a run of one write meets them: its first task is done before anything else. */
const POINTS: readonly FailpointName[] = [
  'workflow:task-done',
  ...FAILPOINTS.filter((name) => name !== 'workflow:task-done'),
];

/** The tasks of several runs are one pass of the worker's codec, and what waits to be settled is one transaction; all else is held once a run. */
const HELD_TOGETHER = ['workflow:task-done', 'model:settling'];

describe('when a server is killed', function () {
  this.timeout(300_000);
  let servers: KillableServers;
  let lab: Lab;
  let provider: ProviderServer;
  const rows: Row[] = [];

  before(async () => {
    servers = await startKillableServers();
    lab = await openLab(servers);
    provider = await startProviderServer();
    provider.always(answerByPlan());
  });

  after(async () => {
    printTable('servers killed: applied/arrivals at the destination, state in the ledger', [
      ['killed', ...KINDS.map(({ kind }) => kind)],
      ...rows.map(({ trouble, cells }) => [trouble, ...cells]),
    ]);
    await lab.close();
    await provider.close();
  });

  const outages: Readonly<Record<string, () => readonly Killable[]>> = {
    PostgreSQL: () => [servers.killable.postgres],
    Temporal: () => [servers.killable.temporal],
    both: () => [servers.killable.postgres, servers.killable.temporal],
  };

  for (const [name, killed] of Object.entries(outages)) {
    it(`writes once and pays once while ${name} went away at every failpoint`, async () => {
      const group = lab.group('write');
      const armed = POINTS.map((point) => `${point}=wait` as const);
      const worker = group.worker(armed.join(',') as ArmedFailpoints, providerEnvironment(provider.baseUrl));
      await worker.ready;
      const callsBefore = provider.ledger.length;
      const cases = await startCases(lab, group, `${name} killed`, { firstTurn: 'write' });
      for (const point of POINTS) {
        await worker.reached(point, HELD_TOGETHER.includes(point) ? 1 : KINDS.length);
        await Promise.all(killed().map((server) => server.kill()));
        await Promise.all(killed().map((server) => server.restart()));
        worker.release(point);
      }
      const row = await finishRow(lab, `${name}, at all ${POINTS.length} failpoints`, cases);
      rows.push(row);
      assert.deepEqual(row.cells, [once, once, once, once]);
      assert.deepEqual([...new Set(row.ends)], ['completed']);
      assert.equal(provider.ledger.length - callsBefore, 2 * KINDS.length, 'one call a turn');
      await group.close();
    });
  }

  it('completes 20 runs that were under way everywhere', async () => {
    const group = lab.group('many');
    const worker = group.worker();
    await worker.ready;
    const names = Array.from({ length: 20 }, (_, index) => `many-${index}`);
    const handles = await Promise.all(names.map((name) => startMany(name, (plan) => group.start(plan))));
    const writes = (): number => lab.destination.arrivals.filter((arrival) => arrival.case.startsWith('many-')).length;
    await until('some have written', () => writes() >= 10);
    const { temporal, postgres } = servers.killable;
    await Promise.all([postgres.kill(), temporal.kill()]);
    await Promise.all([postgres.restart(), temporal.restart()]);
    const ends = await Promise.all(handles.map(async (handle) => (await handle.result()).outcome.kind));
    assert.deepEqual([...new Set(ends)], ['completed']);
    assert.ok(worker.isAlive(), 'the worker lives through it');
    const applied = names.map((name) => lab.destination.of(`${name}-keyed`).applied + lab.destination.of(name).applied);
    assert.deepEqual([...new Set(applied)], [2]);
    await group.close();
  });

  /** Starts a run that reads, writes to a keyed destination, reads, and writes to one that can be asked. */
  async function startMany(name: string, start: (plan: Plan) => Promise<Handle>): Promise<Handle> {
    lab.destination.expect(`${name}-keyed`, 'keyed');
    lab.destination.expect(name, 'reconcilable');
    return start({
      turns: [
        [{ tool: 'lookUp', input: { case: name, ms: 100 } }],
        [{ tool: 'payKeyed', input: { case: `${name}-keyed`, amount: 1 } }],
        [{ tool: 'lookUp', input: { case: name, ms: 200 } }],
        [{ tool: 'payReconcilable', input: { case: name, amount: 2 } }],
      ],
    });
  }
});
