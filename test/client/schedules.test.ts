// Goal: every scheduled time starts exactly one run, whose id follows from schedule and time, and the overlap policy speaks of runs.
// Method: real schedules of seconds on the dev server, workers stopped and started between, triggers, and the commands.
import assert from 'node:assert/strict';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import {
  createClient,
  InvalidInput,
  type PerdureClient,
  ScheduleExists,
  ScheduleNotFound,
} from '../../src/client/index.ts';
import { runIdOfTime } from '../../src/domain/run/scheduled-run.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { capturedCli } from '../cli/captured-cli.ts';
import { startTestServers } from '../support/servers.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const quick = scripted(() => ({ text: 'Done.' }));
const slow = scripted(() => ({ text: 'Done.', delayMs: 20_000 }));

describe('client: schedules', function () {
  this.timeout(120_000);
  let platform: Platform;
  let client: PerdureClient;
  let tenant: string;

  before(async () => {
    platform = await startPlatform({ agents: [testAgent('quick'), testAgent('slow')], scripts: { quick, slow } });
    tenant = platform.tenant;
    client = createClient({
      connection: platform.client.connection as never,
      namespace: platform.client.options.namespace,
      taskQueue: `${platform.queuePrefix}-agents`,
      reader: createRunReader(platform.stores),
      principal: 'tester',
    });
  });

  after(async () => {
    for (const { id } of await client.schedules.list({ tenant })) await client.schedules.delete({ id, tenant });
    await platform?.close();
  });

  const runsOf = async (agent: string) => createRunReader(platform.stores).runs(tenant, { agent, limit: 100 });

  it('starts one run at each time, also at those that no worker saw', async () => {
    const name = { id: 'often', tenant };
    await platform.stopWorkers();
    await client.schedules.create({ ...name, agent: 'quick', input: 'Go.', everyMs: 2_000, overlap: 'allow-all' });
    await until('three times', async () => (await client.schedules.show(name)).counts.started >= 3, {
      timeoutMs: 30_000,
    });
    await client.schedules.pause(name, 'enough');
    await platform.startWorkers();
    await until('the runs', async () => (await runsOf('quick')).length >= 3, { timeoutMs: 40_000 });
    const view = await until(
      'nothing waits',
      async () => {
        const now = await client.schedules.show(name);
        const runs = await runsOf('quick');
        return now.counts.started === runs.length && runs.every(({ end }) => end !== null) ? now : null;
      },
      { timeoutMs: 40_000 },
    );
    const runs = await runsOf('quick');
    assert.deepEqual(view.recent.map(({ agentRunId }) => agentRunId).toSorted(), runs.map(({ id }) => id).toSorted());
    assert.equal(
      runs.every(({ end }) => end?.outcome.kind === 'completed'),
      true,
    );
    for (const { scheduledAt, agentRunId } of view.recent) {
      assert.equal(agentRunId, runIdOfTime(tenant, 'often', scheduledAt));
    }
    assert.deepEqual([view.isPaused, view.note, view.agent, view.overlap], [true, 'enough', 'quick', 'allow-all']);
    const { searchAttributes } = await platform.client.workflow.getHandle(runs[0]?.id ?? '').describe();
    assert.deepEqual(
      [searchAttributes['PerdureTenant'], searchAttributes['PerdureAgent'], searchAttributes['PerdureMode']],
      [[tenant], ['quick'], ['live']],
    );
  });

  it('starts no second run where the key of a time has run already', async () => {
    const name = { id: 'keyed', tenant };
    const create = { ...name, agent: 'quick', input: 'Go.', cron: ['0 0 1 1 *'], timeZone: 'Europe/Lisbon' };
    await client.schedules.create(create);
    await client.schedules.trigger(name);
    const view = await until('the run', async () => {
      const now = await client.schedules.show(name);
      return now.recent.length === 1 ? now : null;
    });
    const [first] = view.recent;
    assert.ok(first);
    await until('the start', async () => client.run(first.agentRunId).exists());
    assert.equal((await client.run(first.agentRunId).result()).outcome.kind, 'completed');
    const { scheduledAt } = first;
    const again = await client.start({
      agent: 'quick',
      input: 'Something else.',
      tenant,
      startKey: `schedule keyed ${scheduledAt.toISOString().slice(0, 19)}Z`,
    });
    assert.equal(again.id, first.agentRunId);
    assert.equal((await runsOf('quick')).filter(({ id }) => id === again.id).length, 1);
    await assert.rejects(client.schedules.create(create), ScheduleExists);
  });

  it('leaves a time out while the run before goes on, and cancels that run where it is told to', async () => {
    const skipping = { id: 'skipping', tenant };
    await client.schedules.create({ ...skipping, agent: 'slow', input: 'Go.', everyMs: 2_000, overlap: 'skip' });
    await until('a time left out', async () => (await client.schedules.show(skipping)).counts.skipped >= 2, {
      timeoutMs: 30_000,
    });
    await client.schedules.delete(skipping);
    assert.equal((await runsOf('slow')).length, 1);
    const [running] = await runsOf('slow');
    await client.run(running?.id ?? '').requestStop('tested');

    const cancelling = { id: 'cancelling', tenant };
    await client.schedules.create({
      ...cancelling,
      agent: 'slow',
      input: 'Go.',
      everyMs: 5_000,
      overlap: 'cancel-other',
    });
    await until(
      'a run that was cancelled',
      async () => {
        const runs = await runsOf('slow');
        return runs.some(({ id, end }) => id !== running?.id && end?.outcome.kind === 'cancelled');
      },
      { timeoutMs: 40_000 },
    );
    await client.schedules.delete(cancelling);
    for (const { id, end } of await runsOf('slow')) if (end === null) await client.run(id).requestStop('tested');
  });

  it('refuses what cannot be a schedule', async () => {
    const good = { id: 'bad', tenant, agent: 'quick', input: 'Go.' };
    const refuse = (options: object) => assert.rejects(client.schedules.create(options as never), InvalidInput);
    await refuse({ ...good });
    await refuse({ ...good, cron: ['0 8 * * *'], everyMs: 60_000 });
    await refuse({ ...good, cron: ['every morning'] });
    await refuse({ ...good, everyMs: 10 });
    await refuse({ ...good, everyMs: 60_000, timeZone: 'Lisbon' });
    await refuse({ ...good, everyMs: 60_000, overlap: 'terminate' });
    await refuse({ ...good, everyMs: 60_000, id: 'two words' });
    await refuse({ ...good, everyMs: 60_000, input: '' });
    await refuse({ ...good, everyMs: 60_000, startKey: 'mine' });
    await assert.rejects(client.schedules.show({ id: 'bad', tenant }), ScheduleNotFound);
  });

  it('is made, shown, held and deleted on the command line', async () => {
    const { temporal, postgres } = await startTestServers();
    const perdure = capturedCli({
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
      PERDURE_QUEUE_PREFIX: platform.queuePrefix,
    });
    const of = ['--tenant', tenant] as const;
    const made = await perdure('schedule', 'create', 'morning', 'support', 'Hello.', '--cron', '0 8 * * 1-5', ...of);
    assert.deepEqual([made.exitCode, made.out], [0, 'morning'], made.said);
    assert.equal(
      (await perdure('schedule', 'create', 'morning', 'support', 'Hello.', '--every', '1h', ...of)).exitCode,
      5,
    );
    assert.equal((await perdure('schedule', 'create', 'x', 'support', 'Hello.', '--every', 'hour', ...of)).exitCode, 2);
    assert.equal((await perdure('schedule', 'create', 'x', 'suport', 'Hello.', '--every', '1h', ...of)).exitCode, 4);
    assert.match(
      (await perdure('schedule', 'show', 'morning', ...of)).out,
      /morning · support .* active[^]* next .* 08:00:00/,
    );
    assert.equal((await perdure('schedule', 'pause', 'morning', ...of)).exitCode, 0);
    const listed = await until('the list', async () => {
      const { out } = await perdure('schedule', 'ls', ...of);
      return /morning .* paused/.test(out) ? out : null;
    });
    assert.match(listed, /^id/);
    assert.equal((await perdure('schedule', 'resume', 'morning', ...of)).exitCode, 0);
    assert.equal((await perdure('schedule', 'trigger', 'morning', ...of)).exitCode, 0);
    const shown = JSON.parse((await perdure('schedule', 'show', 'morning', '--json', ...of)).out) as {
      isPaused: boolean;
    };
    assert.equal(shown.isPaused, false);
    assert.equal((await perdure('schedule', 'delete', 'morning', ...of)).exitCode, 0);
    const gone = await perdure('schedule', 'show', 'morning', ...of);
    assert.deepEqual([gone.exitCode, /there is no schedule morning/.test(gone.said)], [4, true]);
  });
});
