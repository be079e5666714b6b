import { activityInfo, type CancelledFailure, Context } from '@temporalio/activity';
import { LIMITS } from '../domain/run/limits.ts';
import { classify, type Failure, toApplicationFailure } from './failures.ts';
import { withHeartbeats } from './heartbeats.ts';

/** The run an activity works for: its id is the Workflow Id. */
export function agentRunIdOfActivity(): string {
  const id = activityInfo().workflowExecution?.workflowId;
  if (id === undefined) throw new Error('this activity belongs to a run; it cannot be started on its own');
  return id;
}

/**
 * Runs an activity with heartbeats and turns what it throws into the one shape that runs understand. What heals by itself is retried for a minute; then,
 * and at once where a person is needed, the run is told and says that it is blocked. Once it is blocked (`patient`) the server
 * goes on retrying until the cause is gone.
 */
export async function runActivity<Result>(
  input: { readonly patient?: true },
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await withHeartbeats(work);
  } catch (error) {
    if (isShutdown()) throw toApplicationFailure(SHUTDOWN, { retryable: true });
    if (isCancellation(error)) throw error;
    const failure = classify(error);
    throw toApplicationFailure(failure, { retryable: isRetryable(failure, input.patient === true) });
  }
}

/** A worker that stops hands its work back: the next one takes it up at once. */
const SHUTDOWN: Failure = {
  cause: 'infra',
  disposition: 'transient',
  message: 'the worker was stopped; another takes over',
  sent: 'maybe',
};

function isShutdown(): boolean {
  const { cancellationSignal, cancellationDetails } = Context.current();
  return cancellationSignal.aborted && cancellationDetails?.workerShutdown === true;
}

function isRetryable(failure: Failure, isPatient: boolean): boolean {
  if (failure.disposition === 'final') return false;
  if (isPatient) return true;
  return failure.disposition === 'transient' && Date.now() - activityInfo().scheduledTimestampMs < LIMITS.retryMs;
}

function isCancellation(error: unknown): error is CancelledFailure {
  const { cancellationSignal } = Context.current();
  return cancellationSignal.aborted && (error === cancellationSignal.reason || (error as Error)?.name === 'AbortError');
}
