import { type QueryDefinition, WorkflowNotFoundError } from '@temporalio/client';
import type { ClientContext } from './context.ts';
import { NoWorkerAnswered, RunNotFound } from './errors.ts';
import { pause } from './pause.ts';

/** Milliseconds between two tries while no worker is seen: one may be starting. */
const RETRY_MS = 150;

/** gRPC's code when the server saw no worker, or the run's first workflow task is not done. */
const FAILED_PRECONDITION = 9;

/** gRPC's codes of a call that the server took and no worker answered. The first two are "cancelled" and "deadline exceeded". */
const UNANSWERED: readonly unknown[] = [1, 4, FAILED_PRECONDITION];

/**
 * Puts a question to a run. A worker must answer it.
 *
 * @throws RunNotFound
 * @throws NoWorkerAnswered when none does in time.
 */
export async function askRun<Answer>(
  context: ClientContext,
  agentRunId: string,
  query: QueryDefinition<Answer>,
): Promise<Answer> {
  const { temporal, answerMs, namespace } = context;
  const deadline = Date.now() + answerMs;
  for (;;) {
    try {
      return await temporal.withDeadline(deadline, () => temporal.workflow.getHandle(agentRunId).query(query));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) throw new RunNotFound(agentRunId, `namespace ${namespace}`);
      if (!isUnanswered(error)) throw error;
      if (codeOf(error) !== FAILED_PRECONDITION || Date.now() + RETRY_MS > deadline) {
        const message = `no worker answered "${query.name}" of run ${agentRunId} within ${answerMs / 1000} s; is one running?`;
        throw new NoWorkerAnswered(message, { cause: error });
      }
    }
    await pause(RETRY_MS);
  }
}

/** Tells whether a call failed because no worker answered, rather than because it was wrong. */
export function isUnanswered(error: unknown): boolean {
  return UNANSWERED.includes(codeOf(error));
}

/** Finds the gRPC code of an error or of what caused it. */
export function codeOf(error: unknown): unknown {
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    if ('code' in current && typeof current.code === 'number') return current.code;
  }
  return null;
}
