import type { Connection } from '@temporalio/client';

const NOT_FOUND = 5;

/** Deletes every trace of a run in Temporal, as its retention does, and waits until Temporal has forgotten it. */
export async function deleteExecution(connection: Connection, namespace: string, workflowId: string): Promise<void> {
  const { workflowService } = connection;
  const execution = { workflowId };
  await workflowService.deleteWorkflowExecution({ namespace, workflowExecution: execution });
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    try {
      await workflowService.describeWorkflowExecution({ namespace, execution });
    } catch (error) {
      if ((error as { code?: number }).code === NOT_FOUND) return;
      throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Temporal still knows ${workflowId} a minute after its deletion`);
}
