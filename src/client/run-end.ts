import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { ClientContext } from './context.ts';
import { RunNotFound, RunWithoutEnd } from './errors.ts';
import type { RunReader } from './run-reader.ts';

/**
 * Waits for the end of a run, across continue-as-new. When Temporal has forgotten the execution, the run's row says how it ended.
 *
 * @throws RunNotFound
 * @throws RunWithoutEnd when the execution was terminated or broke.
 */
export async function awaitEnd(
  { temporal, reader, namespace }: ClientContext,
  agentRunId: string,
  tenant: string | null,
): Promise<RunEnd> {
  try {
    return (await temporal.workflow.getHandle(agentRunId).result()) as RunEnd;
  } catch (error) {
    if (error instanceof WorkflowFailedError) {
      const reason = error.cause?.message ?? error.message;
      throw new RunWithoutEnd(`run ${agentRunId} has no end: ${reason}`, { cause: error });
    }
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const end = reader === null ? null : await readEnd(reader, agentRunId, tenant);
    if (end !== null) return end;
    throw new RunNotFound(agentRunId, `namespace ${namespace}`);
  }
}

async function readEnd(reader: RunReader, agentRunId: string, tenant: string | null): Promise<RunEnd | null> {
  const owner = tenant ?? (await reader.findTenant(agentRunId));
  return owner === null ? null : ((await reader.run(owner, agentRunId))?.end ?? null);
}
