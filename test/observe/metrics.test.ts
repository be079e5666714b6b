// Goal: a worker process tells Prometheus and its orchestrator the truth: while it works, while servers are away, and while it stops.
// Method: scrapes real worker processes over HTTP during runs, kills and restarts PostgreSQL and Temporal, and reads what is exposed by its grammar.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { METRICS, type MetricSpec } from '../../src/workers/metrics/catalogue.ts';
import { capturedCli } from '../cli/captured-cli.ts';
import { type KillableServers, startKillableServers } from '../support/crash/killable-servers.ts';
import { type Group, type Lab, openLab } from '../support/crash/lab.ts';
import type { Plan } from '../support/crash/plan.ts';
import { ask, endpointOf, scrape } from '../support/observe/scrape.ts';
import { until } from '../support/workflow/until.ts';

const METERED = { PERDURE_METRICS_ADDRESS: '127.0.0.1:0' };

/** A look at the rows is made every 15 s. */
const WATCHED = { timeoutMs: 60_000, everyMs: 500 };

/** Labels of the SDK, which name queues and types, and those of Node. */
const FOREIGN_LABELS =
  'activity_type eager failure_reason namespace operation poller_type service_name status_code task_queue worker_type workflow_type le kind type space version major minor patch';

/** Labels that any metric may have; each has few values. */
const LABELS = new Set(
  Object.values<MetricSpec>(METRICS)
    .flatMap(({ labels }) => labels)
    .concat(FOREIGN_LABELS.split(' ')),
);

const PLAN: Plan = {
  turns: [
    [{ tool: 'lookUp', input: { case: 'c1', ms: 3_000 } }],
    [{ tool: 'payKeyed', input: { case: 'c1', amount: 5 } }],
  ],
};

type Readiness = { readonly ready: boolean; readonly missing: readonly { readonly what: string }[] };

describe('metrics and health of a worker process', function () {
  this.timeout(180_000);
  let servers: KillableServers;
  let lab: Lab;

  before(async () => {
    servers = await startKillableServers();
    lab = await openLab(servers);
  });

  after(async () => lab.close());

  it('are one valid exposition during a run, with what the run did and without any name of it', async () => {
    const group = lab.group('scraped');
    const url = await endpointOf(group.worker('', METERED));
    const names = ['--tenant', 'lilac-tenant', '--subject', 'lilac-subject', '--key', 'lilac-key'];
    const started = await perdure(group)('run', 'start', 'crash', JSON.stringify(PLAN), ...names, '--json');
    const { id } = JSON.parse(started.out) as { readonly id: string };
    await until('the model call', async () => (await scrape(url)).sum('perdure_model_calls_total') === 1);
    const during = await scrape(url);
    assert.equal(during.sum('perdure_runs_started_total', { agent: 'crash' }), 1);
    assert.equal(during.sum('perdure_runs_ended_total'), 0);
    await until('the end', async () => (await scrape(url)).sum('perdure_runs_ended_total') === 1);
    const { namespace } = servers.temporal;
    await until('the completion in the metrics of the SDK', async () => {
      return (await scrape(url)).sum('temporal_workflow_completed', { namespace }) === 1;
    });
    const { type, body } = await ask(`${url}/metrics`);
    assert.equal(type, 'text/plain; version=0.0.4; charset=utf-8');
    assert.doesNotMatch(body, new RegExp(`lilac|${id}`));
    const { families, sum } = await scrape(url);
    for (const { name, samples } of families.values()) {
      const strange = samples.flatMap(({ labels }) => Object.keys(labels)).filter((label) => !LABELS.has(label));
      assert.deepEqual(strange, [], name);
    }
    assert.deepEqual(
      [...families.keys()].filter((name) => name.startsWith('perdure_')),
      Object.keys(METRICS),
    );
    const agent = 'crash';
    const model = 'rehearsal:crash';
    assert.equal(sum('perdure_runs_ended_total', { agent, outcome: 'completed', cause: '' }), 1);
    assert.equal(sum('perdure_model_calls_total', { agent, model, outcome: 'replied' }), 3);
    assert.equal(sum('perdure_tool_calls_total', { agent, tool: 'lookUp@1', outcome: 'ok' }), 1);
    assert.equal(sum('perdure_tool_calls_total', { agent, tool: 'payKeyed@1', outcome: 'succeeded' }), 1);
    const attempts = (activity: string): number =>
      sum('perdure_activity_attempts_total', { activity, outcome: 'completed' });
    assert.deepEqual(['admit', 'callModel', 'lookUp@1', 'recordEnd'].map(attempts), [1, 3, 1, 1]);
    const lookUps = families.get('perdure_activity_duration_seconds')?.samples ?? [];
    const time = lookUps.find(({ name, labels }) => name.endsWith('_sum') && labels['activity'] === 'lookUp@1');
    assert.ok((time?.value ?? 0) >= 3 && (time?.value ?? 0) < 30, `${time?.value} s`);
    const record = JSON.parse((await perdure(group)('run', 'show', id, '--json')).out) as {
      run: { costPico: string; tokens: number };
    };
    const { costPico, tokens } = record.run;
    const usd = sum('perdure_model_cost_usd_total', { agent, model, simulated: 'true' });
    assert.ok(Number(costPico) > 0 && Math.abs(usd - Number(costPico) / 1e12) < 1e-12, `${usd} ${costPico}`);
    const counted = ['input', 'output'].map((kind) => sum('perdure_model_tokens_total', { agent, model, type: kind }));
    assert.equal(
      counted.reduce((total, each) => total + each),
      tokens,
    );
    assert.equal(sum('perdure_sdk_metrics_up'), 1);
    assert.equal(families.get('temporal_activity_execution_latency_seconds')?.type, 'histogram');
    assert.ok(sum('perdure_database_connections') >= 1);
    assert.equal(sum('perdure_build_info', { build_id: 'b1' }), 1);
    assert.ok(families.has('process_resident_memory_bytes') && families.has('nodejs_eventloop_lag_seconds'));
    await group.close();
  });

  it('count what waits for a person, and attempts whose process was killed', async () => {
    const group = lab.group('standing');
    const first = group.worker('model:replied=kill');
    const handle = await group.start({ turns: [[{ tool: 'payKeyed', input: { case: 'c2', amount: 2_000_000 } }]] });
    await first.ended;
    const failing = { model: 'tests:failing', server: 'models.test:8443' };
    await lab.stores.breakers.change(failing, { probe: null, ageMs: 0 }, async () => ({ state: {}, openMs: 60_000 }));
    const url = await endpointOf(group.worker('', METERED));
    await until('the approval', async () => (await scrape(url)).sum('perdure_approvals_pending') === 1, WATCHED);
    const { families, sum } = await scrape(url);
    const open = families.get('perdure_model_breaker_open_seconds')?.samples ?? [];
    assert.deepEqual(
      open.map(({ labels }) => labels),
      [failing],
    );
    assert.equal(sum('perdure_runs', { agent: 'crash', phase: 'waiting' }), 1);
    assert.ok(sum('perdure_approval_oldest_age_seconds') > 0);
    assert.equal(sum('perdure_attempts_orphaned', { kind: 'model' }), 1);
    assert.equal(sum('perdure_attempts_orphaned', { kind: 'tool' }), 0);
    assert.equal(sum('perdure_runs_stuck'), 0);
    assert.ok(Math.abs(Date.now() / 1_000 - sum('perdure_watch_timestamp_seconds')) < 60);
    const shown = await perdure(group)('run', 'show', handle.workflowId);
    assert.match(shown.out, /rehearsal:crash +(≤|[^\n]*)[^\n]* killed/);
    assert.match(shown.out, /rehearsal:crash [^\n]* replied, attempt 2/);
    await group.close();
  });

  it('say what is missing while the database or Temporal is away, and that the process is alive', async () => {
    const group = lab.group('away');
    const url = await endpointOf(group.worker('', METERED));
    assert.deepEqual(await readiness(url), [200, { ready: true, missing: [] }]);
    for (const [name, what] of [
      ['postgres', 'database'],
      ['temporal', 'temporal'],
    ] as const) {
      const server = servers.killable[name];
      await server.kill();
      await until(`${what} is missing`, async () => {
        const [status, { ready, missing }] = await readiness(url);
        return status === 503 && !ready && missing.length === 1 && missing[0]?.what === what;
      });
      assert.equal((await ask(`${url}/livez`)).status, 200);
      await scrape(url);
      await server.restart();
      await until(`${what} is back`, async () => (await readiness(url))[0] === 200, WATCHED);
    }
    await group.close();
  });

  it('say that a stopping process is not ready while it finishes what is in flight', async () => {
    const group = lab.group('stopping');
    const worker = group.worker('', METERED);
    const url = await endpointOf(worker);
    lab.destination.expect('slow', 'blind', { kind: 'apply', replyDelayMs: 2_000 });
    await group.start({ turns: [[{ tool: 'payBlind', input: { case: 'slow', amount: 1 } }]] });
    await until('the write', async () => lab.destination.of('slow').arrivals === 1);
    const ended = worker.terminate();
    await until('it is not ready', async () => {
      const [status, { missing }] = await readiness(url);
      return status === 503 && missing[0]?.what === 'running';
    });
    assert.equal((await ask(`${url}/livez`)).status, 200);
    await ended;
    assert.equal(await worker.ended, 0);
    await assert.rejects(ask(`${url}/livez`), { code: 'ECONNREFUSED' });
    await group.close();
  });

  it('count the beats of a process that was frozen', async () => {
    const group = lab.group('late');
    const worker = group.worker('', METERED);
    const url = await endpointOf(worker);
    const handle = await group.start({ turns: [[{ tool: 'lookUp', input: { case: 'frozen', ms: 4_000 } }]] });
    await until('the read', async () => lab.destination.reads.includes('frozen'));
    assert.equal((await scrape(url)).sum('perdure_heartbeats_late_total'), 0);
    worker.stop();
    await sleep(1_200);
    worker.wake();
    await handle.result();
    assert.ok((await scrape(url)).sum('perdure_heartbeats_late_total') >= 1);
    await group.close();
  });

  it('are served by a process of the role ops alone, which stays until it is stopped', async () => {
    const group = lab.group('ops');
    const worker = group.worker('', { ...METERED, PERDURE_ROLES: 'ops' });
    const url = await endpointOf(worker);
    await until('the gauges', async () => (await scrape(url)).sum('perdure_watch_timestamp_seconds') > 0, WATCHED);
    assert.ok((await scrape(url)).sum('perdure_model_prices_age_seconds') > 0);
    assert.equal((await readiness(url))[0], 200);
    await worker.terminate();
    assert.equal(await worker.ended, 0);
  });

  it('refuse what is no address, what is taken, and requests that are not served', async () => {
    const group = lab.group('refused');
    const url = await endpointOf(group.worker('', METERED));
    assert.equal((await ask(`${url}/metrics`, 'POST')).status, 405);
    assert.equal((await ask(`${url}/other`)).status, 404);
    assert.equal((await ask(`${url}/metrics`, 'HEAD')).body, '');
    for (const [address, words] of [
      [new URL(url).host, /PERDURE_METRICS_ADDRESS .* cannot be listened at \(EADDRINUSE\)/],
      ['9464', /PERDURE_METRICS_ADDRESS must be HOST:PORT/],
      ['127.0.0.1:70000', /PERDURE_METRICS_ADDRESS must be HOST:PORT/],
    ] as const) {
      const refused = group.worker('', { PERDURE_METRICS_ADDRESS: address });
      assert.equal(await refused.ended, 2, refused.output());
      assert.match(refused.output(), words);
    }
    // What is found wrong when servers are connected already ends the process as well.
    const masks = group.worker('', { PERDURE_RECORD_MODELS: tmpdir(), PERDURE_RECORD_MASKS: '{"c":"C-["}' });
    assert.equal(await masks.ended, 2, masks.output());
    assert.match(masks.output(), /PERDURE_RECORD_MASKS/);
    await group.close();
  });

  function perdure({ prefix }: Group): ReturnType<typeof capturedCli> {
    return capturedCli({
      TEMPORAL_ADDRESS: servers.temporal.address,
      TEMPORAL_NAMESPACE: servers.temporal.namespace,
      DATABASE_URL: servers.postgres.url,
      PERDURE_QUEUE_PREFIX: prefix,
      PERDURE_AGENTS_DIR: 'test/support/crash/agents',
    });
  }
});

async function readiness(url: string): Promise<readonly [number, Readiness]> {
  const { status, body } = await ask(`${url}/readyz`);
  return [status, JSON.parse(body) as Readiness];
}
