import type { ConnectionLike } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';

/** Where executions and queues are asked about. */
export type TemporalPort = { readonly connection: ConnectionLike; readonly namespace: string };

/** What workers take from a queue. */
export type QueueKind = 'workflows' | 'activities';

/** The server lets a poll wait for a minute, so a living poller was seen within that time; some seconds more for its next one. */
const SEEN_MS = 65_000;

/** Milliseconds for one answer. */
const QUEUE_ANSWER_MS = 5_000;

/** Values of Temporal's enumeration. */
const QUEUE_TYPE = { workflows: 1, activities: 2 } as const;

/** Tells whether a worker was seen at a task queue in the last minute. One that has just died still counts. */
export async function isQueueServed(
  { connection, namespace }: TemporalPort,
  name: string,
  kind: QueueKind,
): Promise<boolean> {
  const request = { namespace, taskQueue: { name }, taskQueueType: QUEUE_TYPE[kind] };
  const { pollers } = await connection.withDeadline(Date.now() + QUEUE_ANSWER_MS, () =>
    // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enumeration itself is in no package that a client has
    connection.workflowService.describeTaskQueue(request),
  );
  return (pollers ?? []).some(({ lastAccessTime }) => Date.now() - (optionalTsToMs(lastAccessTime) ?? 0) < SEEN_MS);
}
