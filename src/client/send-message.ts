import {
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import type { MessageReceipt, RunMessageKind } from '../domain/run/message.ts';
import { type MessageBody, RUN_MESSAGES } from '../workflows/agent-run.messages.ts';
import { codeOf, isUnanswered } from './ask-run.ts';
import type { ClientContext } from './context.ts';
import { MessageRejected, RunNotFound } from './errors.ts';

/**
 * What became of a message. `applied` and `already-applied` are the run's own words. `sent` means that no worker answered in time: the
 * message is recorded and the run takes it, or shows it among the rejected ones of its state, as soon as a worker is back.
 */
export type SendReceipt = MessageReceipt | { readonly result: 'sent' };

/** gRPC's code when a run takes no more updates, for now or in this execution; it still takes signals. */
const RESOURCE_EXHAUSTED = 8;

/**
 * Sends a message as an update, which answers, and when nobody answers as a signal with the same id, which is kept until a worker
 * comes. The run applies the id once, whichever arrives.
 *
 * @throws MessageRejected with the run's reason, or because it has ended.
 * @throws RunNotFound
 */
export async function sendMessage<Kind extends RunMessageKind>(
  context: ClientContext,
  agentRunId: string,
  kind: Kind,
  body: MessageBody<Kind>,
): Promise<SendReceipt> {
  const { temporal, answerMs } = context;
  const handle = temporal.workflow.getHandle(agentRunId);
  const { update, signal } = RUN_MESSAGES[kind];
  const args = [body as MessageBody<never>] as const;
  try {
    // The update's own id is random: the run, not the server, must say whether the message is new.
    return await temporal.withDeadline(Date.now() + answerMs, () => handle.executeUpdate(update, { args: [...args] }));
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) {
      throw new MessageRejected(error.cause?.message ?? error.message, { cause: error });
    }
    if (error instanceof WorkflowNotFoundError) throw await whyNotFound(context, agentRunId, error);
    if (!isWorthASignal(error)) throw error;
  }
  try {
    await handle.signal(signal, ...args);
    return { result: 'sent' };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw await whyNotFound(context, agentRunId, error);
    throw error;
  }
}

/** Tells whether a signal may reach a run that an update did not. */
export function isWorthASignal(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isUnanswered(error)) return true;
  return codeOf(error) === RESOURCE_EXHAUSTED;
}

/** Says what is meant by "not found": the server says it of a run that has ended, too. */
export async function whyNotFound(
  { temporal, namespace }: ClientContext,
  agentRunId: string,
  cause: Error,
): Promise<Error> {
  try {
    const { status } = await temporal.workflow.getHandle(agentRunId).describe();
    return new MessageRejected(`the run has ended (${status.name.toLowerCase()}); nothing can be changed`, {
      cause,
    });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return new RunNotFound(agentRunId, `namespace ${namespace}`);
    return error as Error;
  }
}
