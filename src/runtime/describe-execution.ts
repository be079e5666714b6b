import { type ConnectionLike, isGrpcServiceError } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import { PHASES } from '../domain/run/phase.ts';
import type { ExecutionFacts, TaskFailure } from '../domain/run/stuck.ts';
import { isQueueServed, type QueueKind, type TemporalPort } from './queue-pollers.ts';

type Described = Awaited<ReturnType<ConnectionLike['workflowService']['describeWorkflowExecution']>>;
type Open = Extract<ExecutionFacts, { kind: 'open' }>;

/** Milliseconds for one answer: whoever asks about many would rather miss one. */
const ANSWER_MS = 5_000;

/** Newest events that are looked through for why a workflow task failed. Messages that came since are a few at most. */
const EVENTS_READ = 50;

/** Values of Temporal's enumerations, which stand for themselves on the wire. */
const RUNS = 'runs';
const ACTIVITY_SCHEDULED = 1;
const TASK_FAILED_NONDETERMINISM = 24;
const NOT_FOUND = 5;

const STATUS_WORDS: Readonly<Record<number, string>> = {
  1: RUNS,
  2: 'has completed',
  3: 'has failed',
  4: 'was cancelled',
  5: 'was terminated',
  7: 'has timed out',
};

/**
 * Asks Temporal how the execution of a run stands: what is pending, since when, and why its workflow task fails.
 *
 * @param movedAt when something was written of the run last, in milliseconds since the epoch.
 * @param taskQueue only executions of this queue are told of; null for others.
 */
export async function describeExecution(
  port: TemporalPort,
  { id, movedAt, taskQueue }: { readonly id: string; readonly movedAt: number; readonly taskQueue: string },
): Promise<ExecutionFacts | null> {
  const described = await describe(port, id);
  if (described === null) return { kind: 'gone', how: 'is not known to Temporal' };
  const { workflowExecutionInfo: info, executionConfig } = described;
  if (executionConfig?.taskQueue?.name !== taskQueue) return null;
  const how = STATUS_WORDS[info?.status ?? 0] ?? 'is closed';
  if (how !== RUNS) return { kind: 'gone', how };
  return {
    kind: 'open',
    phase: phaseOf(described),
    workflowTask: await taskOf(port, id, described, taskQueue),
    activities: await Promise.all((described.pendingActivities ?? []).map((pending) => activityOf(port, pending))),
    idleMs: Date.now() - Math.max(movedAt, optionalTsToMs(info?.executionTime) ?? 0),
    hasChildren: (described.pendingChildren ?? []).length > 0,
  };
}

/** Null when Temporal knows no such execution. */
async function describe({ connection, namespace }: TemporalPort, workflowId: string): Promise<Described | null> {
  try {
    return await connection.withDeadline(Date.now() + ANSWER_MS, () =>
      connection.workflowService.describeWorkflowExecution({ namespace, execution: { workflowId } }),
    );
  } catch (error) {
    if (isGrpcServiceError(error) && (error.code as number) === NOT_FOUND) return null;
    throw error;
  }
}

function phaseOf({ workflowExecutionInfo: info }: Described): Open['phase'] {
  const data = info?.searchAttributes?.indexedFields?.['PerdurePhase']?.data;
  const shown =
    data === undefined || data === null ? null : (JSON.parse(Buffer.from(data).toString('utf8')) as unknown);
  return PHASES.find((phase) => phase === shown) ?? 'running';
}

async function taskOf(
  port: TemporalPort,
  workflowId: string,
  { pendingWorkflowTask: task, workflowExecutionInfo: info }: Described,
  taskQueue: string,
): Promise<Open['workflowTask']> {
  if (task === null || task === undefined) return null;
  const attempt = task.attempt ?? 1;
  const waitsMs = waitOf(task.startedTime === null || task.startedTime === undefined, task.scheduledTime);
  return {
    attempt,
    waitsMs,
    taskQueue,
    isServed: await servedIfWaiting(port, taskQueue, 'workflows', waitsMs),
    failure: attempt > 1 ? await taskFailure(port, workflowId, info?.execution?.runId ?? '') : null,
  };
}

async function activityOf(
  port: TemporalPort,
  pending: NonNullable<Described['pendingActivities']>[number],
): Promise<Open['activities'][number]> {
  const isReady = Number(pending.state) === ACTIVITY_SCHEDULED && !pending.nextAttemptScheduleTime;
  const waitsMs = waitOf(isReady, pending.scheduledTime);
  const taskQueue = pending.activityOptions?.taskQueue?.name ?? '';
  const { lastFailure } = pending;
  return {
    type: pending.activityType?.name ?? 'an activity',
    attempt: pending.attempt ?? 1,
    waitsMs,
    taskQueue,
    isServed: await servedIfWaiting(port, taskQueue, 'activities', waitsMs),
    failure: lastFailure
      ? { kind: lastFailure.timeoutFailureInfo ? 'timed-out' : 'failed', message: lastFailure.message ?? '' }
      : null,
  };
}

function waitOf(isReady: boolean, since: Parameters<typeof optionalTsToMs>[0]): number | null {
  const sinceMs = optionalTsToMs(since);
  return isReady && sinceMs !== undefined ? Math.max(0, Date.now() - sinceMs) : null;
}

async function servedIfWaiting(
  port: TemporalPort,
  taskQueue: string,
  kind: QueueKind,
  waitsMs: number | null,
): Promise<boolean | null> {
  return waitsMs === null || taskQueue === '' ? null : isQueueServed(port, taskQueue, kind);
}

/** The history holds the first failure of a task; attempts after it leave no event. */
async function taskFailure(
  { connection, namespace }: TemporalPort,
  workflowId: string,
  runId: string,
): Promise<TaskFailure | null> {
  const { history } = await connection.withDeadline(Date.now() + ANSWER_MS, () =>
    connection.workflowService.getWorkflowExecutionHistoryReverse({
      namespace,
      execution: { workflowId, runId },
      maximumPageSize: EVENTS_READ,
    }),
  );
  for (const event of history?.events ?? []) {
    if (event.workflowTaskCompletedEventAttributes) return null;
    if (event.workflowTaskTimedOutEventAttributes) {
      return { kind: 'timed-out', message: 'no worker answered the task in time' };
    }
    const failed = event.workflowTaskFailedEventAttributes;
    if (failed) {
      const message = failed.failure?.message ?? 'it failed without a message';
      return { kind: Number(failed.cause) === TASK_FAILED_NONDETERMINISM ? 'nondeterminism' : 'thrown', message };
    }
  }
  return null;
}
