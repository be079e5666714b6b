import { WorkflowNotFoundError } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { codeOf } from './ask-run.ts';
import type { RunStart } from '../domain/run/start.ts';
import type { ClientContext } from './context.ts';

/** gRPC's code of an execution that the server does not have. */
const NOT_FOUND = 5;

const NOTHING = { input: '' } as const;

/** Reads what a run was started with, as long as Temporal has its execution; empty when it has not, or when nothing was said. */
export async function readFirstInput(
  { temporal, namespace }: ClientContext,
  agentRunId: string,
): Promise<Pick<RunStart, 'input' | 'attachments'>> {
  try {
    const { history } = await temporal.workflowService.getWorkflowExecutionHistory({
      namespace,
      execution: { workflowId: agentRunId },
      maximumPageSize: 1,
    });
    const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads;
    const [start] = await decodeArrayFromPayloads(temporal.options.loadedDataConverter, payloads);
    const { input, attachments } = (start ?? {}) as { readonly input?: unknown; readonly attachments?: unknown };
    if (typeof input !== 'string') return NOTHING;
    return { input, ...(Array.isArray(attachments) ? { attachments: attachments as readonly string[] } : {}) };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError || codeOf(error) === NOT_FOUND) return NOTHING;
    throw error;
  }
}
