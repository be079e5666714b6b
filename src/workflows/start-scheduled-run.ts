import {
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  ParentClosePolicy,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { RunEnd } from '../domain/run/run-end.ts';
import { runIdOfTime, type ScheduledResult, type ScheduledRun, startOfTime } from '../domain/run/scheduled-run.ts';
import type { RunStart } from '../domain/run/start.ts';

const scheduledTime = { name: 'TemporalScheduledStartTime', type: 'DATETIME' } as const;

/**
 * Starts the run of one scheduled time under the id that its start key gives, which a schedule cannot: it appends the time to the ids of
 * what it starts. It lasts as long as the run, so that the schedule's overlap policy speaks of runs, and its cancellation is the run's.
 * Replay-safe: it reads its input, the recorded time of the schedule and the workflow's own clock.
 */
export async function startScheduledRun(scheduled: ScheduledRun): Promise<ScheduledResult> {
  const { typedSearchAttributes, startTime, taskQueue } = workflowInfo();
  // Without a schedule, as when somebody starts it by hand, the moment of the start is the time.
  const time = typedSearchAttributes.get(scheduledTime) ?? startTime;
  const { tenant, agent, mode, summary } = scheduled;
  const agentRunId = runIdOfTime(tenant, scheduled.scheduleId, time);
  try {
    const child = await startChild<(start: RunStart) => Promise<RunEnd>>('agentRun', {
      workflowId: agentRunId,
      args: [startOfTime(scheduled, time, Date.now())],
      taskQueue,
      workflowTaskTimeout: '2s',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      // Terminating this one, or losing it, does not touch the run.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      typedSearchAttributes: [
        keyword('PerdureTenant', tenant),
        keyword('PerdureAgent', agent),
        keyword('PerdureMode', mode),
        keyword('PerdurePhase', 'running'),
      ],
      staticSummary: summary,
    });
    const { outcome } = await child.result();
    return { agentRunId, outcome: outcome.kind };
  } catch (error) {
    // The SDK's class is not among what workflow code may import.
    if (error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError')
      return { agentRunId, outcome: 'started-before' };
    if (error instanceof ChildWorkflowFailure) return { agentRunId, outcome: 'lost' };
    throw error;
  }
}

function keyword(name: string, value: string) {
  return { key: { name, type: 'KEYWORD' }, value } as const;
}
