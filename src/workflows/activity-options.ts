import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { RunActivities } from '../activities/create-activities.ts';
import { LIMITS } from '../domain/run/limits.ts';
import type { Run } from '../domain/run/run.ts';

/** A dead worker is noticed after this; its beats come every half second. */
const HEARTBEAT_TIMEOUT_MS = 2_000;

/**
 * Attempts before the run says that it is blocked, where no code lives long enough to say so: work that kills its worker each time. Ordinary
 * trouble is told after a minute, which is some twenty attempts.
 */
const ATTEMPTS_MAX = 50;

/** Longest time of an activity that only reads and writes rows. */
export const ROW_WORK_MS = 45_000;

/**
 * Options of a run's activity. What fails is retried by the server, quickly at first. Once the run is blocked (`deadlineAt` is given)
 * the server goes on every 30 s until the run's deadline: days of waiting then cost no history.
 */
export function activityOptions(work: {
  readonly workMs: number;
  readonly taskQueue?: string;
  readonly summary: string;
  /** End of the run in milliseconds since the epoch, when the run is blocked; else null. */
  readonly deadlineAt: number | null;
}): ActivityOptions {
  const isPatient = work.deadlineAt !== null;
  return {
    ...(work.taskQueue === undefined ? {} : { taskQueue: work.taskQueue }),
    summary: work.summary,
    startToCloseTimeout: work.workMs + LIMITS.settleMs,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...(work.deadlineAt === null
      ? { scheduleToStartTimeout: LIMITS.retryMs }
      : { scheduleToCloseTimeout: Math.max(1_000, work.deadlineAt - Date.now()) }),
    retry: {
      initialInterval: 200,
      backoffCoefficient: 2,
      maximumInterval: isPatient ? 30_000 : 5_000,
      ...(isPatient ? {} : { maximumAttempts: ATTEMPTS_MAX }),
    },
  };
}

/** Activities on the run's own queue, which read and write rows. */
export function rows(run: Run, summary: string): RunActivities {
  return proxyActivities<RunActivities>(activityOptions({ workMs: ROW_WORK_MS, summary, deadlineAt: deadlineOf(run) }));
}

/** End of a blocked run, until which its activity is retried; null while the run is not blocked. */
export function deadlineOf(run: Run): number | null {
  return run.blocked === null ? null : run.start.deadlineAt;
}
