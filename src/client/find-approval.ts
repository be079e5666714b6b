import { pendingQuery } from '../workflows/agent-run.messages.ts';
import { askRun } from './ask-run.ts';
import type { ClientContext } from './context.ts';
import { MessageRejected, NoWorkerAnswered } from './errors.ts';

type Approval = { readonly approvalId: string; readonly argsHash: string };

/**
 * Finds the approval that a decision is about. With its id and the hash of the arguments nobody is asked; else the run is, and when no
 * worker answers, the database.
 *
 * @throws MessageRejected when nothing like it is pending.
 * @throws NoWorkerAnswered when neither can be asked.
 */
export async function findApproval(
  context: ClientContext,
  agentRunId: string,
  tenant: string | null,
  asked: { readonly approvalId?: string; readonly argsHash?: string },
): Promise<Approval> {
  const { approvalId, argsHash } = asked;
  if (approvalId !== undefined && argsHash !== undefined) return { approvalId, argsHash };
  const pending = await pendingApprovals(context, agentRunId, tenant);
  const [found, ...others] = pending.filter((each) => approvalId === undefined || each.approvalId === approvalId);
  if (found === undefined) {
    const known = pending.map((each) => each.approvalId).join(', ') || 'none';
    const wanted = approvalId === undefined ? 'no approval is pending' : `approval ${approvalId} is not pending`;
    throw new MessageRejected(`${wanted} in run ${agentRunId}; pending: ${known}`);
  }
  if (others.length > 0) {
    const known = pending.map((each) => each.approvalId).join(', ');
    throw new MessageRejected(`several approvals are pending in run ${agentRunId}; name one: ${known}`);
  }
  return { approvalId: found.approvalId, argsHash: argsHash ?? found.argsHash };
}

async function pendingApprovals(
  context: ClientContext,
  agentRunId: string,
  tenant: string | null,
): Promise<readonly Approval[]> {
  try {
    const pending = await askRun(context, agentRunId, pendingQuery);
    return pending.flatMap((each) => (each.kind === 'approval' ? [each] : []));
  } catch (error) {
    if (!(error instanceof NoWorkerAnswered)) throw error;
    if (context.reader === null) {
      const hint = 'Pass approvalId and argsHash, give the client a reader, or start a worker.';
      throw new NoWorkerAnswered(`${error.message} Without one the pending approval is not known. ${hint}`, {
        cause: error,
      });
    }
    const rows = await context.reader.approvals(tenant, { agentRunId, state: 'pending' });
    return rows.map(({ id, argsHash }) => ({ approvalId: id, argsHash }));
  }
}
