import {
  type UpdateDefinition,
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { FilePart } from '../domain/model/attachment.ts';
import type { MessageReceipt } from '../domain/run/message.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { RunStart } from '../domain/run/start.ts';
import { type MessageBody, RUN_MESSAGES } from '../workflows/agent-run.messages.ts';
import { writeAttachments } from './attachments.ts';
import type { ClientContext } from './context.ts';
import { type ConversationPart, type ConversationPlace, findParts, runIdOfPart } from './conversation-parts.ts';
import { MessageRejected, RunWithoutEnd } from './errors.ts';
import { pause } from './pause.ts';
import { awaitEnd } from './run-end.ts';
import type { RunReader } from './run-reader.ts';
import { isWorthASignal, sendMessage } from './send-message.ts';
import { workflowOptions } from './start-run.ts';

/** How a part of a conversation ended. `lost`: its execution was terminated or broke, so it has no end. */
export type EndKind = RunEnd['outcome']['kind'] | 'lost';

/** A message that was checked, and how a run is started for it. */
export type CheckedMessage = {
  readonly place: ConversationPlace;
  readonly body: MessageBody<'provideInput'>;
  readonly files: readonly FilePart[];
  /** Whom a conversation is about that is not there yet. */
  readonly subject: string;
  readonly continueAfter: readonly EndKind[];
  readonly startOf: (number: number, previous: string | null) => RunStart;
};

/** Where a message went: into a run, or nowhere, because the conversation is over. */
export type Delivery =
  | { readonly kind: 'delivered'; readonly agentRunId: string }
  | { readonly kind: 'ended'; readonly agentRunId: string; readonly end: RunEnd | null };

/** Milliseconds between two looks whether a run that is being stopped has ended. */
const ENDING_POLL_MS = 100;

/**
 * Brings a message to the run of its conversation that can take it: the one that took it in before, the one that waits, or a new one.
 * Doing so again changes nothing, as every run takes a key in once.
 *
 * @throws MessageRejected when the run does not take it, or the key is that of another kind of message.
 */
export async function deliverMessage(
  context: ClientContext,
  reader: RunReader,
  sent: CheckedMessage,
): Promise<Delivery> {
  const { place, body } = sent;
  const { newest, message } = await findParts(reader, place, body.id);
  if (message !== null) {
    if (message.kind === 'input' || message.kind === 'answer') {
      return { kind: 'delivered', agentRunId: message.agentRunId };
    }
    throw new MessageRejected(
      `the key ${JSON.stringify(body.id)} is that of a ${message.kind} of run ${message.agentRunId}; use another`,
    );
  }
  if (newest !== null && newest.end === null) {
    const files = await keepFiles(context, sent, [newest.agentRunId]);
    if (await tellRun(context, newest.agentRunId, { ...body, ...files })) {
      return { kind: 'delivered', agentRunId: newest.agentRunId };
    }
  }
  return deliverAfter(context, reader, sent, newest);
}

/** Goes on from a part that takes nothing more: to its end, or to the next part where the caller wants that. */
async function deliverAfter(
  context: ClientContext,
  reader: RunReader,
  sent: CheckedMessage,
  last: ConversationPart | null,
): Promise<Delivery> {
  const { place, continueAfter, startOf, body } = sent;
  let ended = last;
  // A part without a row cannot be gone on from: nothing was said in it.
  let previous = last?.agentRunId ?? null;
  for (let number = (last?.number ?? 0) + 1; ; number += 1) {
    if (ended !== null) {
      const { agentRunId } = ended;
      const end = ended.end ?? (await endOf(context, agentRunId, place.tenant));
      if (!continueAfter.includes(end?.outcome.kind ?? 'lost')) return { kind: 'ended', agentRunId, end };
    }
    const agentRunId = runIdOfPart(place, number);
    const files = await keepFiles(context, sent, [agentRunId, ...(previous === null ? [] : [previous])]);
    const start = { ...startOf(number, previous), ...files };
    if (await startPart(context, agentRunId, start, { ...body, ...files })) {
      return { kind: 'delivered', agentRunId };
    }
    // It ran and ended meanwhile, or was refused and has no row.
    const { parts, message } = await reader.conversation(place.tenant, [agentRunId], body.id);
    if (message !== null) return { kind: 'delivered', agentRunId };
    ended = { number, agentRunId, end: parts[0]?.end ?? null };
    previous = parts[0]?.agentRunId ?? previous;
  }
}

/** Keeps the files where the run that hears the message looks for them. */
function keepFiles(
  context: ClientContext,
  { place: { tenant }, files, subject }: CheckedMessage,
  agentRunIds: readonly string[],
): Promise<{ readonly attachments?: readonly string[] }> {
  return writeAttachments(context, { tenant, agentRunIds, subject }, files);
}

/** Tells a run that has a row. False when it has ended, or is about to. */
async function tellRun(
  context: ClientContext,
  agentRunId: string,
  body: MessageBody<'provideInput'>,
): Promise<boolean> {
  try {
    await sendMessage(context, agentRunId, 'provideInput', body);
    return true;
  } catch (error) {
    if (error instanceof MessageRejected && !(await endsSoon(context, agentRunId))) throw error;
    if (error instanceof MessageRejected || isForgotten(error)) return false;
    throw error;
  }
}

function isForgotten(error: unknown): boolean {
  return error instanceof Error && error.name === 'RunNotFound';
}

/** A run that is being stopped refuses messages and ends when the write in flight is over. */
async function endsSoon({ temporal, answerMs }: ClientContext, agentRunId: string): Promise<boolean> {
  const handle = temporal.workflow.getHandle(agentRunId);
  for (const deadline = Date.now() + answerMs; ; await pause(ENDING_POLL_MS)) {
    try {
      const { status } = await handle.describe();
      if (status.name !== 'RUNNING') return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return true;
      throw error;
    }
    if (Date.now() > deadline) return false;
  }
}

/** Reads how a run ended of which the database does not say so. Null when it has no end. */
async function endOf(context: ClientContext, agentRunId: string, tenant: string): Promise<RunEnd | null> {
  try {
    return await awaitEnd(context, agentRunId, tenant);
  } catch (error) {
    if (error instanceof RunWithoutEnd || isForgotten(error)) return null;
    throw error;
  }
}

/**
 * Starts a part with its first message, or tells the message to the run that another sender has started meanwhile, in one call. Where no
 * worker answers, the same is done with a signal. False when a run of this id has ended already.
 */
async function startPart(
  context: ClientContext,
  agentRunId: string,
  start: RunStart,
  body: MessageBody<'provideInput'>,
): Promise<boolean> {
  const { temporal, answerMs } = context;
  const { update, signal } = RUN_MESSAGES.provideInput;
  const options = {
    ...workflowOptions(context, agentRunId, start),
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
  };
  const startWorkflowOperation = new WithStartWorkflowOperation('agentRun', options);
  // Whoever waits for the handle itself would hear of the failure a second time.
  startWorkflowOperation.workflowHandle().catch(() => undefined);
  try {
    await temporal.withDeadline(Date.now() + answerMs, () =>
      temporal.workflow.executeUpdateWithStart(update as UpdateDefinition<MessageReceipt, [object]>, {
        args: [body],
        startWorkflowOperation,
      }),
    );
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError || error instanceof WorkflowNotFoundError) return false;
    if (error instanceof WorkflowUpdateFailedError) {
      if (await endsSoon(context, agentRunId)) return false;
      throw new MessageRejected(error.cause?.message ?? error.message, { cause: error });
    }
    if (!isWorthASignal(error)) throw error;
  }
  try {
    await temporal.workflow.signalWithStart('agentRun', { ...options, signal, signalArgs: [body] });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}
