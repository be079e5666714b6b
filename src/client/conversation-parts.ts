import type { RunEnd } from '../domain/run/run-end.ts';
import type { MessageRecord } from '../domain/schemas/run-records.ts';
import { hashId } from '../domain/sha-256.ts';
import type { RunReader } from './run-reader.ts';

/** Which conversation of whom with which agent. */
export type ConversationPlace = {
  readonly tenant: string;
  readonly agent: string;
  readonly conversationId: string;
};

/** One run of a conversation: the first, or one that went on where the one before had ended; the newest that has taken it up stands for it. */
export type ConversationPart = {
  /** Counted from 1. */
  readonly number: number;
  readonly agentRunId: string;
  readonly end: RunEnd | null;
};

/** Parts that are asked for at once: almost every conversation has fewer. */
const PARTS_PER_READ = 16;

/** Names the start key of a part. An agent's name has neither "#" nor a space, so no two conversations share one. */
export function startKeyOfPart({ agent, conversationId }: ConversationPlace, number: number): string {
  return number === 1 ? `${agent} ${conversationId}` : `${agent}#${number} ${conversationId}`;
}

/** Gives the id of the run that a part of a conversation is. */
export function runIdOfPart(place: ConversationPlace, number: number): string {
  return hashId(place.tenant, 'conversation', startKeyOfPart(place, number));
}

/**
 * Finds the newest part that the database knows, and the part that took in the message of a key. Both are null where there is none: a run
 * has a row once it is admitted.
 */
export async function findParts(
  reader: RunReader,
  place: ConversationPlace,
  messageKey: string | null,
): Promise<{ readonly newest: ConversationPart | null; readonly message: MessageRecord | null }> {
  let newest: ConversationPart | null = null;
  let message: MessageRecord | null = null;
  for (let first = 1; ; first += PARTS_PER_READ) {
    const ids = Array.from({ length: PARTS_PER_READ }, (_, index) => runIdOfPart(place, first + index));
    const found = await reader.conversation(place.tenant, ids, messageKey);
    const last = found.parts.at(-1);
    if (last !== undefined) {
      const { startedAs, agentRunId, end } = last;
      newest = { number: first + ids.indexOf(startedAs), agentRunId, end };
    }
    message = found.message ?? message;
    if (last === undefined || last.startedAs !== ids.at(-1)) return { newest, message };
  }
}
