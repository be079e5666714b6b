import type { WorkflowHandle } from '@temporalio/client';

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

/** The search attribute that versioning writes; Temporal does not bill it. */
const UNBILLED_ATTRIBUTE = 'TemporalChangeVersion';

/**
 * Counts the actions that a history shows as Temporal Cloud bills them: the start, every attempt at an activity, timers, upserts of search
 * attributes, signals and updates. Heartbeats, queries, refused updates and the attempts at an activity that was called off between two of
 * them are actions too, and stand in no history.
 *
 * @see https://docs.temporal.io/cloud/actions
 */
export function countActions(events: readonly HistoryEvent[]): number {
  return events.reduce((sum, event) => sum + actionsOf(event), 0);
}

function actionsOf(event: HistoryEvent): number {
  const attributes = event.upsertWorkflowSearchAttributesEventAttributes;
  if (attributes) {
    const names = Object.keys(attributes.searchAttributes?.indexedFields ?? {});
    return names.length > 0 && names.every((name) => name === UNBILLED_ATTRIBUTE) ? 0 : 1;
  }
  // One event stands for all attempts: it is written when the last of them has ended.
  const started = event.activityTaskStartedEventAttributes;
  if (started) return started.attempt ?? 1;
  const isAction =
    event.workflowExecutionStartedEventAttributes ??
    event.timerStartedEventAttributes ??
    event.workflowExecutionSignaledEventAttributes ??
    event.workflowExecutionUpdateAcceptedEventAttributes;
  return isAction ? 1 : 0;
}
