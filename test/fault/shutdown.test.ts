// Goal: a deploy costs nothing: what ends within the grace time is kept, the rest is handed on, and no run ends because a process did.
// Method: sends SIGTERM to a real worker with 50 runs in model calls and writes, starts the next one, and counts at both other sides.
import assert from 'node:assert/strict';
import { type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { answerByPlan, providerEnvironment } from '../support/crash/model-answer.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';

const RUNS = 50;

/** Grace time of a worker of the crash agent: the longest time that one of its tools may take, and 2 s. */
const GRACE_MS = 17_000;

/** How long a model call and a write take: well within the grace time. */
const WORK_MS = 1_000;

/** Model calls of a run: one that asks for the write, one that answers. */
const CALLS = 2;

describe('a worker that is asked to stop', function () {
  this.timeout(90_000);
  let lab: Lab;
  let provider: ProviderServer;

  before(async () => {
    lab = await openLab(await startTestServers());
    provider = await startProviderServer();
    provider.always(answerByPlan(WORK_MS));
  });

  after(async () => {
    await lab.close();
    await provider.close();
  });

  it('loses no write, pays for nothing twice and ends no run of 50', async () => {
    const group = lab.group('stop');
    const env = providerEnvironment(provider.baseUrl);
    const worker = group.worker('', env);
    await worker.ready;
    const names = Array.from({ length: RUNS }, (_, index) => `stop-${index}`);
    const handles = await Promise.all(
      names.map((name) => {
        lab.destination.expect(name, 'blind', { kind: 'apply', replyDelayMs: WORK_MS });
        return group.start({ turns: [[{ tool: 'payBlind', input: { case: name, amount: 1 } }]] });
      }),
    );
    const written = (): number => lab.destination.arrivals.length;
    await until('writes and model calls are under way', () => written() >= RUNS / 4 && provider.ledger.length >= RUNS);
    const under = { writes: written(), calls: provider.ledger.length };
    const askedAt = Date.now();
    await worker.terminate();
    const stoppedAt = Date.now();
    assert.equal(await worker.ended, 0);
    assert.deepEqual(await endedEarly(handles), []);
    const states = await effectStates(lab, handles);
    assert.ok(
      states.every((state) => state === 'succeeded'),
      `effects after the stop: ${states.join(', ')}`,
    );

    const next = group.worker('', env);
    await next.ready;
    const ends = await Promise.all(handles.map(async (handle) => (await handle.result()).outcome.kind));
    printTable('shutdown: 50 runs under way', [
      ['writes begun at SIGTERM', String(under.writes)],
      ['writes known after the stop', String(states.length)],
      ['model calls begun at SIGTERM', String(under.calls)],
      ['the stop took', `${stoppedAt - askedAt} ms`],
      ['model calls in all', `${provider.ledger.length} for ${RUNS * CALLS} turns`],
      ['writes in all', `${written()} for ${RUNS} runs`],
    ]);
    assert.deepEqual([...new Set(ends)], ['completed']);
    assert.equal(provider.ledger.length, RUNS * CALLS);
    assert.ok(names.every((name) => lab.destination.of(name).arrivals === 1));
    await group.close();
  });

  it('hands on what does not end within the grace time', async () => {
    const group = lab.group('long');
    const env = providerEnvironment(provider.baseUrl);
    const worker = group.worker('', env);
    await worker.ready;
    provider.always(answerByPlan(GRACE_MS + 20_000));
    const before = provider.ledger.length;
    const handles = await Promise.all(Array.from({ length: 5 }, () => group.start({ turns: [] })));
    await until('the model calls are under way', () => provider.ledger.length >= before + handles.length);
    const askedAt = Date.now();
    await worker.terminate();
    assert.ok(Date.now() - askedAt < GRACE_MS + 3_000, 'the stop took longer than the grace time');
    assert.deepEqual(await endedEarly(handles), []);

    provider.always(answerByPlan());
    await group.worker('', env).ready;
    const ends = await Promise.all(handles.map(async (handle) => (await handle.result()).outcome.kind));
    assert.deepEqual([...new Set(ends)], ['completed']);
    assert.equal(provider.ledger.length, before + 2 * handles.length);
    await group.close();
  });
});

/** Lists the runs that have ended. */
async function endedEarly(handles: readonly Handle[]): Promise<readonly string[]> {
  const described = await Promise.all(handles.map((handle) => handle.describe()));
  return described.flatMap(({ status, workflowId }) =>
    status.name === 'RUNNING' ? [] : [`${workflowId} ${status.name}`],
  );
}

async function effectStates({ stores }: Lab, handles: readonly Handle[]): Promise<readonly string[]> {
  const ids = handles.map(({ workflowId }) => workflowId);
  const rows = await stores.db
    .selectFrom('effects')
    .select('state')
    .where('tenant', '=', TENANT)
    .where('run_id', 'in', ids)
    .execute();
  return rows.map(({ state }) => state);
}
