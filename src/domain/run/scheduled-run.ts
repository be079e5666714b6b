import { hashId } from '../sha-256.ts';
import type { RunStart } from './start.ts';

/** What a schedule starts each time: a start without the key and the deadline, which depend on the time. */
export type ScheduledRun = Omit<RunStart, 'startKey' | 'deadlineAt' | 'inputKey' | 'previous' | 'attachments'> & {
  readonly scheduleId: string;
  /** Milliseconds that each run may take. */
  readonly deadlineMs: number;
  /** What the Web UI shows of each run. */
  readonly summary: string;
};

/** What became of one scheduled time. `lost`: the run's execution was terminated or broke. */
export type ScheduledResult = { readonly agentRunId: string; readonly outcome: string };

/** Names the start key of a scheduled time, to the second: a schedule and a time are one run, whoever starts it. */
function startKeyOfTime(scheduleId: string, time: Date): string {
  return `schedule ${scheduleId} ${time.toISOString().slice(0, 19)}Z`;
}

/** Gives the id of the run of a scheduled time. */
export function runIdOfTime(tenant: string, scheduleId: string, time: Date): string {
  return hashId(tenant, 'single', startKeyOfTime(scheduleId, time));
}

/** Makes the start of a scheduled time. The deadline counts from when it is really started. */
export function startOfTime(
  { scheduleId, deadlineMs, summary: _summary, ...start }: ScheduledRun,
  time: Date,
  nowMs: number,
): RunStart {
  return { ...start, startKey: startKeyOfTime(scheduleId, time), deadlineAt: nowMs + deadlineMs };
}
