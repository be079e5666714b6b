// Goal: PostgreSQL, Temporal or the provider is away for minutes, and of 50 runs none fails and all move within 60 s of its return.
// Method: a real worker process with 50 runs under way; the server is killed, stays away (OUTAGE_MINUTES, 5 by default), and comes back on its data.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type KillableServers, startKillableServers } from '../support/crash/killable-servers.ts';
import { type Handle, type Lab, openLab } from '../support/crash/lab.ts';
import { answerByPlan, providerEnvironment } from '../support/crash/model-answer.ts';
import type { Plan } from '../support/crash/plan.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';

const OUTAGE_MS = Number(process.env['OUTAGE_MINUTES'] ?? 5) * 60_000;
const RUNS = 50;
/** What is promised: every run has done something new within this time of the return. */
const MOVING_MS = 60_000;
/** Less than an outage takes: time in which nobody can work is no work. */
const LIMITS = { activeMs: 60_000 };
/** Long enough to be under way when the outage begins, and far from the end. */
const PLAN: Plan = {
  turns: Array.from({ length: 6 }, (_, turn) => [{ tool: 'lookUp', input: { case: `turn-${turn}`, ms: 2_000 } }]),
};

describe('when something is away for minutes', function () {
  this.timeout(OUTAGE_MS + 300_000);
  let servers: KillableServers;
  let lab: Lab;
  let provider: ProviderServer;
  const figures: string[][] = [['away', 'minutes', 'failed', 'first moves', 'last moves']];

  before(async () => {
    servers = await startKillableServers();
    lab = await openLab(servers);
    provider = await startProviderServer();
    provider.always(answerByPlan());
  });

  after(async () => {
    printTable(`${RUNS} runs through an outage: milliseconds after its end`, figures);
    await lab.close();
    await provider.close();
  });

  const outages: Readonly<Record<string, () => { readonly goAway: Change; readonly comeBack: Change }>> = {
    PostgreSQL: () => ({ goAway: servers.killable.postgres.kill, comeBack: servers.killable.postgres.restart }),
    Temporal: () => ({ goAway: servers.killable.temporal.kill, comeBack: servers.killable.temporal.restart }),
    'the provider': () => ({ goAway: () => provider.close(), comeBack: reopenProvider }),
  };

  for (const [name, outage] of Object.entries(outages)) {
    it(`fails no run while ${name} is away, and all move within 60 s of its return`, async () => {
      const { goAway, comeBack } = outage();
      const group = lab.group('outage');
      const worker = group.worker('', providerEnvironment(provider.baseUrl));
      await worker.ready;
      const readsBefore = lab.destination.reads.length;
      const handles = await Promise.all(Array.from({ length: RUNS }, () => group.start(PLAN, LIMITS)));
      await until('every run is under way', () => lab.destination.reads.length >= readsBefore + RUNS);

      await goAway();
      await sleep(OUTAGE_MS);
      await comeBack();
      const returnedAt = Date.now();
      const moves = await movesAfter(returnedAt, handles).catch(async (error: Error) => {
        const last = worker.output().split('\n').slice(-20).join('\n');
        const states = await Promise.all(handles.map((handle) => standstillOf(handle, returnedAt)));
        throw new Error(
          `${error.message}; the worker ${worker.isAlive() ? 'lives' : 'has ended'} and said:\n${last}\n${states.join('\n')}`,
        );
      });

      const ends = await Promise.all(handles.map(async (handle) => (await handle.result()).outcome.kind));
      const failed = ends.filter((kind) => kind !== 'completed');
      figures.push([
        name,
        String(OUTAGE_MS / 60_000),
        String(failed.length),
        String(Math.min(...moves)),
        String(Math.max(...moves)),
      ]);
      assert.deepEqual(failed, []);
      assert.ok(Math.max(...moves) <= MOVING_MS, `the last run moved after ${Math.max(...moves)} ms`);
      assert.ok(worker.isAlive(), 'the worker lives through it');
      await group.close();
    });
  }

  async function reopenProvider(): Promise<void> {
    provider = await startProviderServer(Number(new URL(provider.baseUrl).port));
    provider.always(answerByPlan());
  }

  /** Says how a run stands and what its history did last, where nothing came of it after the moment. */
  async function standstillOf(handle: Handle, moment: number): Promise<string> {
    const { status, raw } = await handle.describe();
    const pending = raw.pendingActivities?.map(
      ({ activityType, state, attempt, lastFailure, scheduledTime }) =>
        `${activityType?.name} ${state} attempt ${attempt} ${lastFailure?.message ?? ''} next ${Number(scheduledTime?.seconds ?? 0) * 1000 - moment} ms`,
    );
    const task = raw.pendingWorkflowTask;
    const phase = await lab.phaseOf(handle.workflowId);
    const outcome = status.name === 'RUNNING' ? '' : JSON.stringify((await handle.result()).outcome);
    return `${handle.workflowId} ${status.name} ${phase} task ${task?.attempt ?? '-'} ${outcome} ${pending?.join(', ') ?? ''}`;
  }

  /** Waits until each run has finished an attempt that it began after the moment, or has completed, and gives how long each took. */
  async function movesAfter(moment: number, handles: readonly Handle[]): Promise<number[]> {
    const database = new Client({ connectionString: servers.postgres.url });
    await database.connect();
    let moved = new Map<string, number>();
    await until(
      'every run moves',
      async () => {
        const { rows } = await database.query<{ run_id: string; at: Date }>(
          `select run_id, min(at) as at from (
             select run_id, closed_at as at from perdure.observations
               where opened_at > $2 and outcome not in ('failed', 'cancelled')
             union all
             select id, greatest(ended_at, $2) from perdure.runs where run_end->'outcome'->>'kind' = 'completed') as done
             where run_id = any($1) group by run_id`,
          [handles.map(({ workflowId }) => workflowId), new Date(moment)],
        );
        moved = new Map(rows.map(({ run_id, at }) => [run_id, at.getTime() - moment]));
        return moved.size === handles.length;
      },
      MOVING_MS,
    );
    await database.end();
    return [...moved.values()];
  }
});

type Change = () => Promise<void>;
