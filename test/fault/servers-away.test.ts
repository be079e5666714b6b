// Goal: no run is lost and no write is made twice when Temporal or PostgreSQL is killed, in the middle of a transaction too.
// Method: holds real workers inside their transactions, kills the servers, brings them back on the same data, and lets the workers go on.
import assert from 'node:assert/strict';
import type { FailpointName } from '../../src/domain/failpoint.ts';
import { type Killable, type KillableServers, startKillableServers } from '../support/crash/killable-servers.ts';
import { type Handle, type Lab, openLab } from '../support/crash/lab.ts';
import { answerByPlan, providerEnvironment } from '../support/crash/model-answer.ts';
import type { Plan } from '../support/crash/plan.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import { finishRow, KINDS, type Row, startCases } from '../support/crash/write-cases.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';

const once = '1/1 succeeded';

describe('when a server is killed', function () {
  this.timeout(120_000);
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
    it(`writes once and pays once while ${name} went away in the middle of a transaction`, async () => {
      const writes = (['effect:intending', 'effect:settling'] as const).map((point) => ({
        point,
        trouble: `${name}, worker at ${point}`,
        group: lab.group('write'),
      }));
      const modelGroup = lab.group('model');
      const workers = [
        ...writes.map(({ group, point }) => ({ point, worker: group.worker(`${point}=wait`), held: 4 })),
        {
          point: 'model:settling' as FailpointName,
          worker: modelGroup.worker('model:settling=wait', providerEnvironment(provider.baseUrl)),
          held: 1,
        },
      ];
      await Promise.all(workers.map(({ worker }) => worker.ready));
      const callsBefore = provider.ledger.length;
      const cases = await Promise.all(writes.map(({ group, trouble }) => startCases(lab, group, trouble)));
      const paid = await modelGroup.start({ turns: [[{ tool: 'lookUp', input: { case: 'paid', ms: 10 } }]] });
      await Promise.all(workers.map(({ worker, point, held }) => worker.reached(point, held)));

      await Promise.all(killed().map((server) => server.kill()));
      await Promise.all(killed().map((server) => server.restart()));
      for (const { worker, point } of workers) worker.release(point);

      const made = await Promise.all(writes.map(({ trouble }, index) => finishRow(lab, trouble, cases[index] ?? [])));
      rows.push(...made);
      assert.deepEqual(
        made.map(({ cells }) => cells),
        [
          [once, once, once, once],
          [once, once, once, once],
        ],
      );
      assert.deepEqual((await paid.result()).outcome, { kind: 'completed' });
      assert.equal(provider.ledger.length - callsBefore, 2, 'one call a turn');
      await Promise.all([...writes.map(({ group }) => group.close()), modelGroup.close()]);
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
