import { randomUUID } from 'node:crypto';
import { conversationOptionsSchema } from '../domain/schemas/conversation-options.ts';
import { readAttachments } from './attachments.ts';
import { readShape, readText, type TextInput } from './check-input.ts';
import { type ClientContext, readerOf } from './context.ts';
import { type ConversationPlace, findParts, startKeyOfPart } from './conversation-parts.ts';
import { type CheckedMessage, deliverMessage, type EndKind } from './deliver-message.ts';
import { InvalidInput } from './errors.ts';
import { type SentMessage, sentMessage } from './reply.ts';
import { createRunHandle, type RunHandle } from './run-handle.ts';
import { readStart, type StartOptions } from './start-run.ts';

/** How to send a message. Everything but `agent`, `key` and `continueAfter` counts only where a run is started for it. */
export type SendOptions = Omit<StartOptions, 'input' | 'startKey' | 'kind'> & {
  /** The same key is taken in once, for ever, and gives the same reply. Default: random. */
  readonly key?: string;
  /**
   * After which ends the message begins another run, which knows what was said before. `lost` stands for an execution that was
   * terminated. Default: `expired` only, because the other ends were somebody's decision or used up a budget.
   */
  readonly continueAfter?: readonly EndKind[];
};

/** Who talks with whom. */
export type FindConversationOptions = { readonly agent: string; readonly tenant?: string };

/**
 * Sends a message to a conversation, and starts it where there is none. Everything is checked first: what was refused is not sent.
 *
 * @throws InvalidInput
 * @throws MessageRejected
 * @throws ReaderMissing
 */
export async function sendToConversation(
  context: ClientContext,
  conversationId: string,
  message: TextInput,
  options: SendOptions,
): Promise<SentMessage> {
  const reader = readerOf(context, 'send()');
  const checked = readMessage(context, conversationId, message, options);
  return sentMessage(context, reader, checked, await deliverMessage(context, reader, checked));
}

/**
 * Finds the run that a conversation has come to, whether it goes on or has ended. Null where nothing was said, or the run is not admitted
 * yet.
 *
 * @throws InvalidInput
 * @throws ReaderMissing
 */
export async function findConversation(
  context: ClientContext,
  conversationId: string,
  options: FindConversationOptions,
): Promise<RunHandle | null> {
  const reader = readerOf(context, 'findConversation()');
  const { place } = readMessage(context, conversationId, '-', options);
  const { newest } = await findParts(reader, place, null);
  return newest === null ? null : createRunHandle(context, newest.agentRunId, place.tenant);
}

function readMessage(
  context: ClientContext,
  id: string,
  message: TextInput,
  { key = randomUUID(), continueAfter = ['expired'], attachments, ...options }: SendOptions,
): CheckedMessage {
  const files = readAttachments(context, attachments);
  const text = readText('message', message);
  const { conversationId, ...said } = readShape(conversationOptionsSchema, { conversationId: id, key, continueAfter });
  if ('input' in options || 'startKey' in options || 'kind' in options) {
    throw new InvalidInput(
      'send() takes no input, startKey or kind: the message and the conversation’s id stand for them',
    );
  }
  const first = readStart(context, { ...options, input: text, startKey: 'checked', kind: 'conversation' });
  const { tenant, agent, principal } = first;
  // A conversation is about whoever speaks in it, unless the caller knows better.
  const subject = first.subject ?? `conversation ${agent} ${conversationId}`;
  const place: ConversationPlace = { tenant, agent, conversationId };
  return {
    place,
    body: { id: said.key, text, principal },
    files,
    subject,
    continueAfter: said.continueAfter,
    startOf: (number, previous) => ({
      ...first,
      // A part that goes on is about whom the part before was, and refused where the caller names somebody else.
      ...(previous === null ? { subject } : {}),
      startKey: startKeyOfPart(place, number),
      inputKey: said.key,
      ...(previous === null ? {} : { previous }),
    }),
  };
}
