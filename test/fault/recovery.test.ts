// Goal: a run whose worker was killed goes on within 3 s of the restart, 40 at once within 20 s, and pays for no reply twice.
// Method: kills real workers in a workflow task, in a read and in a model call, restarts them, and reads times from the histories.
import assert from 'node:assert/strict';
import { type ArmedFailpoints, type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { answerByPlan, providerEnvironment } from '../support/crash/model-answer.ts';
import type { Plan } from '../support/crash/plan.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';

/** What is promised, in milliseconds after the new worker is ready. */
const ONE_RUN_MS = 3_000;
const FORTY_FIRST_MS = 3_000;
const FORTY_ALL_MS = 20_000;

const readTwice: Plan = {
  turns: [[{ tool: 'lookUp', input: { case: 'a', ms: 300 } }], [{ tool: 'lookUp', input: { case: 'b', ms: 300 } }]],
};

describe('a run whose worker was killed', function () {
  this.timeout(120_000);
  let lab: Lab;
  let provider: ProviderServer;
  const figures: string[][] = [['killed', 'after the new worker is ready', 'after the kill']];

  before(async () => {
    lab = await openLab(await startTestServers());
    provider = await startProviderServer();
    provider.always(answerByPlan());
  });

  after(async () => {
    printTable('recovery: milliseconds until the run goes on', figures);
    await lab.close();
    await provider.close();
  });

  const places: readonly { readonly where: string; readonly armed: ArmedFailpoints; readonly isRead: boolean }[] = [
    // Its third task is the one after the first model call.
    { where: 'in a workflow task', armed: 'workflow:task-done=kill@3', isRead: false },
    { where: 'in a read', armed: '', isRead: true },
    { where: 'in a model call', armed: 'model:reserved=kill@2', isRead: false },
  ];

  for (const { where, armed, isRead } of places) {
    it(`goes on within 3 s of the restart when it was killed ${where}`, async () => {
      const group = lab.group('one');
      const worker = group.worker(armed);
      await worker.ready;
      const readsBefore = lab.destination.reads.length;
      const handle = await group.start(readTwice);
      if (isRead) {
        await until('the read has begun', () => lab.destination.reads.length > readsBefore);
        await worker.kill();
      } else await worker.ended;
      const killedAt = Date.now();
      const readyAt = await group.worker().ready;
      assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
      const wentOnAt = await firstProgressAfter(handle, killedAt);
      figures.push([where, String(wentOnAt - readyAt), String(wentOnAt - killedAt)]);
      await group.close();
      assert.ok(wentOnAt - readyAt <= ONE_RUN_MS, `went on ${wentOnAt - readyAt} ms after the new worker was ready`);
    });
  }

  it('goes on with 39 others: the first within 3 s, all within 20 s', async () => {
    const group = lab.group('forty');
    const worker = group.worker();
    await worker.ready;
    const readsBefore = lab.destination.reads.length;
    const plan: Plan = {
      turns: [
        [{ tool: 'lookUp', input: { case: 'a', ms: 2_000 } }],
        [{ tool: 'lookUp', input: { case: 'b', ms: 10 } }],
      ],
    };
    const handles = await Promise.all(Array.from({ length: 40 }, () => group.start(plan)));
    await until('40 reads are under way', () => lab.destination.reads.length >= readsBefore + 36);
    await worker.kill();
    const killedAt = Date.now();
    const readyAt = await group.worker().ready;
    const ends = await Promise.all(handles.map(async (handle) => (await handle.result()).outcome.kind));
    assert.deepEqual([...new Set(ends)], ['completed']);
    const times = await Promise.all(handles.map((handle) => firstProgressAfter(handle, killedAt)));
    const first = Math.min(...times);
    const last = Math.max(...times);
    figures.push(['with 40 runs: the first', String(first - readyAt), String(first - killedAt)]);
    figures.push(['with 40 runs: the last', String(last - readyAt), String(last - killedAt)]);
    await group.close();
    assert.ok(first - readyAt <= FORTY_FIRST_MS, `the first went on after ${first - readyAt} ms`);
    assert.ok(last - readyAt <= FORTY_ALL_MS, `the last went on after ${last - readyAt} ms`);
  });

  it('does not ask again for a reply that was paid for and kept', async () => {
    const { calls, states } = await killInModelCall('model:settled=kill');
    assert.equal(calls, 2, 'one call a turn');
    assert.deepEqual(states, ['settled', 'settled']);
  });

  it('asks again for a reply that was lost, and holds what the lost call may have cost', async () => {
    const { calls, states } = await killInModelCall('model:replied=kill');
    assert.equal(calls, 3, 'the first turn was asked twice');
    assert.deepEqual(states, ['held', 'settled', 'settled']);
  });

  /** Runs two turns on a paid model and kills the worker in the first. */
  async function killInModelCall(armed: ArmedFailpoints): Promise<{ calls: number; states: readonly string[] }> {
    const group = lab.group('paid');
    const env = providerEnvironment(provider.baseUrl);
    const before = provider.ledger.length;
    const worker = group.worker(armed, env);
    await worker.ready;
    const handle = await group.start({ turns: [[{ tool: 'lookUp', input: { case: 'paid', ms: 10 } }]] });
    await worker.ended;
    await group.worker('', env).ready;
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    await group.close();
    return { calls: provider.ledger.length - before, states: await reservationsOf(lab, handle) };
  }
});

/** Finds when a run went on: its first workflow task or activity that ended well after a moment, by the server's clock. */
async function firstProgressAfter(handle: Handle, moment: number): Promise<number> {
  const { events } = await handle.fetchHistory();
  const times = (events ?? [])
    .filter((event) => event.workflowTaskCompletedEventAttributes || event.activityTaskCompletedEventAttributes)
    .map(({ eventTime }) => Number(eventTime?.seconds) * 1_000 + (eventTime?.nanos ?? 0) / 1_000_000)
    .filter((time) => time > moment);
  assert.ok(times.length > 0, `run ${handle.workflowId} did nothing after the kill`);
  return Math.round(Math.min(...times));
}

async function reservationsOf({ stores }: Lab, { workflowId }: Handle): Promise<readonly string[]> {
  const rows = await stores.db
    .selectFrom('budget_reservations')
    .select('state')
    .where('tenant', '=', TENANT)
    .where('run_id', '=', workflowId)
    .orderBy('opened_at')
    .execute();
  return rows.map(({ state }) => state);
}
