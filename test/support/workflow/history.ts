import proto from '@temporalio/proto';
import type { temporal } from '@temporalio/proto';
import type { Platform, RunHandle } from './platform.ts';

export type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** One activity of a history, with its place. Event ids tell what was scheduled before what. */
export type ActivityRecord = {
  readonly type: string;
  readonly summary: string;
  readonly input: unknown;
  readonly result: unknown;
  readonly scheduledAt: number;
  /** Null while it is open. */
  readonly closedAt: number | null;
};

/** Reads the history of one execution, page by page. Without a run id, the newest of the id. */
export async function readHistory(
  { client }: Platform,
  { workflowId }: Pick<RunHandle, 'workflowId'>,
  runId?: string,
): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let nextPageToken: Uint8Array = new Uint8Array();
  do {
    const page = await client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: { workflowId, ...(runId === undefined ? {} : { runId }) },
      nextPageToken,
    });
    events.push(...(page.history?.events ?? []));
    nextPageToken = page.nextPageToken ?? new Uint8Array();
  } while (nextPageToken.length > 0);
  return events;
}

/** Reads the histories of a run's executions, the first one first: each continue-as-new makes another. */
export async function readExecutions(platform: Platform, handle: RunHandle): Promise<HistoryEvent[][]> {
  const executions: HistoryEvent[][] = [];
  let runId: string | null | undefined = handle.firstExecutionRunId;
  while (runId) {
    const events = await readHistory(platform, handle, runId);
    executions.push(events);
    runId = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return executions;
}

/** Counts the bytes of an event as the server stores it. */
export function eventBytes(event: HistoryEvent): number {
  return proto.temporal.api.history.v1.HistoryEvent.encode(event).finish().length;
}

/** Lists the activities of a history in the order of their schedule. */
export function activitiesOf(events: readonly HistoryEvent[]): ActivityRecord[] {
  return events.flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (!scheduled) return [];
    const id = Number(event.eventId);
    const closed = events.find((other) => Number(closeOf(other)?.scheduledEventId ?? 0) === id);
    return [
      {
        type: scheduled.activityType?.name ?? '',
        summary: decodeText(event.userMetadata?.summary),
        input: decode(scheduled.input?.payloads?.[0]),
        result: decode(closed?.activityTaskCompletedEventAttributes?.result?.payloads?.[0]),
        scheduledAt: id,
        closedAt: closed === undefined ? null : Number(closed.eventId),
      },
    ];
  });
}

/** Lists the summaries of a history's timers. */
export function timersOf(events: readonly HistoryEvent[]): string[] {
  return events.flatMap((event) =>
    event.timerStartedEventAttributes ? [decodeText(event.userMetadata?.summary)] : [],
  );
}

/** The events of one turn: from the schedule of its model call to the command after its last tool call. */
export function eventsOfTurn(events: readonly HistoryEvent[], turn: number): readonly HistoryEvent[] {
  const start = events.findIndex((event) => turnOfModelCall(event) === turn);
  if (start === -1) return [];
  const isTool = (event: HistoryEvent): boolean =>
    event.activityTaskScheduledEventAttributes?.activityType?.name?.includes('@') === true;
  const length = events.slice(start + 1).findIndex((event) => isCommand(event) && !isTool(event));
  return length === -1 ? events.slice(start) : events.slice(start, start + 1 + length);
}

function turnOfModelCall({ activityTaskScheduledEventAttributes: scheduled }: HistoryEvent): number | null {
  if (scheduled?.activityType?.name !== 'callModel') return null;
  return (decode(scheduled.input?.payloads?.[0]) as { readonly turn: number }).turn;
}

function isCommand(event: HistoryEvent): boolean {
  return [
    event.activityTaskScheduledEventAttributes,
    event.upsertWorkflowSearchAttributesEventAttributes,
    event.workflowExecutionContinuedAsNewEventAttributes,
    event.workflowExecutionCompletedEventAttributes,
  ].some((attributes) => attributes !== null && attributes !== undefined);
}

function closeOf(event: HistoryEvent) {
  return (
    event.activityTaskCompletedEventAttributes ??
    event.activityTaskFailedEventAttributes ??
    event.activityTaskTimedOutEventAttributes ??
    event.activityTaskCanceledEventAttributes
  );
}

function decode(payload: temporal.api.common.v1.IPayload | null | undefined): unknown {
  const data = payload?.data;
  return data && data.length > 0 ? JSON.parse(Buffer.from(data).toString('utf8')) : undefined;
}

function decodeText(payload: temporal.api.common.v1.IPayload | null | undefined): string {
  const text = decode(payload);
  return typeof text === 'string' ? text : '';
}
