// Goal: a run that makes no progress is shown with its reason within a minute, and goes on without a hand when its cause is mended.
// Method: worker processes of builds with a planted mistake, or of some roles only; then those of this build take over.
import assert from 'node:assert/strict';
import { Client } from '@temporalio/client';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import type { StuckReason } from '../../src/domain/run/stuck.ts';
import { capturedCli } from '../cli/captured-cli.ts';
import { type Group, type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { plantBuild } from '../support/observe/planted-build.ts';
import { endpointOf, scrape } from '../support/observe/scrape.ts';
import { startTestServers, type TestServers } from '../support/servers.ts';
import { until } from '../support/workflow/until.ts';

/** A run has to be shown within this. */
const SHOWN_MS = 60_000;

/** Temporal waits longer with each failure of a workflow task: at most as long again as the task has been failing. */
const RECOVERED_MS = 180_000;

const METERED = { PERDURE_METRICS_ADDRESS: '127.0.0.1:0' };

const PLAN = {
  turns: [
    [{ tool: 'lookUp', input: { case: 'c1', ms: 20 } }],
    [{ tool: 'payKeyed', input: { case: 'c1', amount: 5 } }],
  ],
};

type Shown = { readonly id: string; readonly reason: StuckReason; readonly detail: string; readonly mend: string };

describe('a stuck run', function () {
  this.timeout(SHOWN_MS + RECOVERED_MS + 60_000);
  let servers: TestServers;
  let lab: Lab;

  before(async () => {
    servers = await startTestServers();
    lab = await openLab(servers);
  });

  after(async () => lab.close());

  it('is shown while workflow code throws, and goes on under a mended build', async () => {
    const broken = await plantBuild({
      file: 'src/workflows/agent-run.ts',
      from: 'present(shell, decision);',
      to: `if (shell.run.turn > 0) throw new Error('planted: ' + decision.kind);
           present(shell, decision);`,
    });
    const group = lab.group('throwing');
    const worker = group.worker('', METERED, broken);
    const handle = await group.start(PLAN);
    const shown = await untilShown(group, handle, 'workflow-task-failing');
    assert.match(shown.detail, /^attempt \d+ at one workflow task: planted: call-tools$/);
    assert.match(shown.mend, /deploy a mended build/);
    const text = await perdure(group)('run', 'ls', '--stuck', '--tenant', TENANT);
    assert.match(text.out, new RegExp(`${handle.workflowId} +crash +crash +\\d.* workflow-task-failing\\n`));
    const url = await endpointOf(worker);
    await until('the gauge', async () => (await stuckAt(url, 'workflow-task-failing')) === 1, { timeoutMs: SHOWN_MS });
    await worker.kill();
    const mended = group.worker('', METERED);
    await assertGoesOn(group, handle);
    const mendedUrl = await endpointOf(mended);
    await until('no gauge', async () => (await stuckAt(mendedUrl, 'workflow-task-failing')) === 0, {
      timeoutMs: SHOWN_MS,
    });
    await group.close();
  });

  it('is shown when a build decides otherwise than the history says, and goes on under the one before', async () => {
    const other = await plantBuild({
      file: 'src/workflows/agent-run.ts',
      from: 'watchDeadline(shell);',
      to: `await sleep(1, { summary: 'planted' });
           watchDeadline(shell);`,
    });
    const group = lab.group('diverged');
    const first = group.worker('model:replied=kill');
    const handle = await group.start(PLAN);
    await first.ended;
    const second = group.worker('', {}, other);
    const { detail, mend } = await untilShown(group, handle, 'workflow-task-failing');
    assert.match(detail, /[Nn]ondeterminism/);
    assert.match(mend, /decide otherwise than the history/);
    await second.kill();
    group.worker();
    await assertGoesOn(group, handle);
    await group.close();
  });

  it('is shown when no worker takes its work, whether it was admitted or not', async () => {
    const group = lab.group('unserved');
    const never = await group.start(PLAN);
    const unadmitted = await untilShown(group, never, 'no-worker');
    assert.match(
      unadmitted.detail,
      new RegExp(`its next workflow task from the queue ${group.prefix}-agents for \\d+ s`),
    );
    assert.match(unadmitted.mend, /^No worker polls the queue/);
    group.worker('', { PERDURE_ROLES: 'agents' });
    const admitted = await untilShown(group, never, 'no-worker', 'callModel');
    assert.match(admitted.detail, new RegExp(`callModel from the queue ${group.prefix}-models for \\d+ s`));
    group.worker();
    await assertGoesOn(group, never);
    await group.close();
  });

  it('is shown when its execution was terminated, and goes on when it is started again', async () => {
    const group = lab.group('terminated');
    const first = group.worker('model:reserved=wait');
    const start = ['run', 'start', 'crash', JSON.stringify(PLAN), '--key', 'again', '--tenant', TENANT, '--json'];
    const { id } = JSON.parse((await perdure(group)(...start)).out) as { readonly id: string };
    await first.reached('model:reserved');
    const connection = connectLocally(servers.temporal.address);
    const handle: Handle = new Client({ connection, namespace: servers.temporal.namespace }).workflow.getHandle(id);
    await handle.terminate('planted');
    const { detail } = await untilShown(group, handle, 'execution-gone');
    assert.match(detail, /its execution was terminated$/);
    await first.kill();
    await group.worker().ready;
    assert.equal((await perdure(group)(...start)).exitCode, 0);
    await assertGoesOn(group, handle);
    await connection.close();
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

  async function untilShown(group: Group, { workflowId }: Handle, reason: StuckReason, word = ''): Promise<Shown> {
    const ask = async (): Promise<Shown | undefined> => {
      const { out, exitCode, said } = await perdure(group)('run', 'ls', '--stuck', '--json');
      assert.equal(exitCode, 0, said);
      const shown = (JSON.parse(out) as readonly Shown[]).find(({ id }) => id === workflowId);
      return shown?.reason === reason && shown.detail.includes(word) ? shown : undefined;
    };
    return until(`${reason} of ${workflowId}`, ask, { timeoutMs: SHOWN_MS, everyMs: 1_000 });
  }

  async function assertGoesOn(group: Group, handle: Handle): Promise<void> {
    const end = await until(
      'the end',
      async () => {
        const { status } = await handle.describe();
        return status.name === 'RUNNING' ? null : handle.result();
      },
      { timeoutMs: RECOVERED_MS, everyMs: 500 },
    ).catch(async (error: unknown) => {
      const shown = await perdure(group)('run', 'show', handle.workflowId);
      throw new Error(`the run does not go on:\n${shown.out}${shown.said}`, { cause: error });
    });
    assert.deepEqual([end.outcome.kind, end.toolCalls], ['completed', 2]);
    const listed = await perdure(group)('run', 'ls', '--stuck', '--json');
    assert.deepEqual(JSON.parse(listed.out), []);
  }
});

async function stuckAt(url: string, reason: StuckReason): Promise<number | null> {
  const { families, sum } = await scrape(url);
  return families.get('perdure_runs_stuck')?.samples.length === 0 ? null : sum('perdure_runs_stuck', { reason });
}
