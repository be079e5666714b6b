import { setTimeout as sleep } from 'node:timers/promises';
import type { BreakerRecord } from '../../domain/model/breaker.ts';
import { STUCK_REASONS } from '../../domain/run/stuck.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { TemporalPort } from '../../runtime/queue-pollers.ts';
import { createBreakers } from '../../stores/breakers.ts';
import type { Db } from '../../stores/database.ts';
import { readStandings, type Standings } from '../../stores/standings.ts';
import type { Metrics } from '../metrics/create-metrics.ts';
import { findStuckRuns, type StuckRuns } from './find-stuck-runs.ts';

/** Pause between two looks: a stuck run is seen within a minute with two of them to spare. */
const WATCH_MS = 15_000;

/** Milliseconds that a look in progress may take when the process stops. */
const LAST_LOOK_MS = 5_000;

/** Executions that Temporal is asked about in one look. */
const EXAMINED_MAX = 50;

/** Gauges that come from rows and from Temporal; they are true of the whole deployment, not of this process. */
const WATCHED = [
  'perdure_runs',
  'perdure_runs_stuck',
  'perdure_runs_unexamined',
  'perdure_approvals_pending',
  'perdure_approval_oldest_age_seconds',
  'perdure_effects_unknown',
  'perdure_attempts_orphaned',
  'perdure_held_calls',
  'perdure_held_usd',
  'perdure_held_oldest_age_seconds',
  'perdure_model_breaker_open_seconds',
  'perdure_watch_timestamp_seconds',
] as const;

/** What a watch looks at. */
export type Watched = TemporalPort & { readonly db: Db; readonly queuePrefix: string };

/** Sets the gauges of the whole deployment every 15 s. What cannot be read is taken away, so that nobody reads what was. */
export function watchRuns(watched: Watched, metrics: Metrics, logger: Logger): { readonly stop: () => Promise<void> } {
  const stopping = new AbortController();
  const done = watch(watched, metrics, logger, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await Promise.race([done, sleep(LAST_LOOK_MS, undefined, { ref: false })]);
    },
  };
}

async function watch(watched: Watched, metrics: Metrics, logger: Logger, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    for (const { reason } of await look(watched, metrics)) {
      if (!stopping.aborted) logger.error({ err: reason as unknown }, 'gauges of runs could not be read');
    }
    await sleep(WATCH_MS, undefined, { ref: false, signal: stopping }).catch(() => undefined);
  }
}

/** Sets what could be read and takes the rest away. Gives what failed. */
async function look({ queuePrefix, ...servers }: Watched, metrics: Metrics): Promise<readonly PromiseRejectedResult[]> {
  const [standings, runs, breakers] = await Promise.allSettled([
    readStandings(servers.db),
    findStuckRuns(servers, { tenant: null, queuePrefix, limit: EXAMINED_MAX }),
    createBreakers(servers.db).list(),
  ]);
  for (const name of WATCHED) metrics.forget(name);
  if (standings.status === 'fulfilled') setStandings(metrics, standings.value);
  if (runs.status === 'fulfilled') setStuck(metrics, runs.value);
  if (breakers.status === 'fulfilled') setBreakers(metrics, breakers.value);
  const failed = [standings, runs, breakers].filter((each) => each.status === 'rejected');
  if (failed.length === 0) metrics.set('perdure_watch_timestamp_seconds', {}, Math.floor(Date.now() / 1_000));
  return failed;
}

function setStandings(metrics: Metrics, standings: Standings): void {
  for (const { agent, phase, count } of standings.runs) metrics.set('perdure_runs', { agent, phase }, count);
  for (const kind of ['model', 'tool']) {
    const orphans = standings.orphanedAttempts.find((each) => each.kind === kind)?.count ?? 0;
    metrics.set('perdure_attempts_orphaned', { kind }, orphans);
  }
  metrics.set('perdure_approvals_pending', {}, standings.pendingApprovals);
  metrics.set('perdure_approval_oldest_age_seconds', {}, standings.oldestApprovalSeconds);
  metrics.set('perdure_effects_unknown', {}, standings.unknownEffects);
  metrics.set('perdure_held_calls', {}, standings.held.calls);
  metrics.set('perdure_held_usd', {}, standings.held.usd);
  metrics.set('perdure_held_oldest_age_seconds', {}, standings.held.oldestSeconds);
}

function setBreakers(metrics: Metrics, breakers: readonly BreakerRecord[]): void {
  for (const { model, server, status, openSeconds } of breakers) {
    if (status !== 'closed') metrics.set('perdure_model_breaker_open_seconds', { model, server }, openSeconds);
  }
}

function setStuck(metrics: Metrics, { stuck, unexamined }: StuckRuns): void {
  for (const reason of STUCK_REASONS) {
    metrics.set('perdure_runs_stuck', { reason }, stuck.filter((run) => run.reason === reason).length);
  }
  metrics.set('perdure_runs_unexamined', {}, unexamined);
}
