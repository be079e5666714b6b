import type { MessagePart } from '../../domain/model/message-part.ts';
import { type ClosingReason, closingWords } from '../../domain/run/early-exit.ts';
import type { Stores } from '../../stores/stores.ts';
import type { JudgedCall } from './judge-call.ts';

/** Tells a model that goes on calling tools that it was to close. */
const NO_TOOLS = 'The run closes, so this call was not made. Give your answer in words.';

/**
 * Adds to what is new that the model is to close, as the last that it reads. It is stored as a part of the turn, so that the prompt stays what it was. Tools
 * stay in the request: without them the provider would find nothing of the prompt in its cache.
 */
export async function withClosingWords(
  { transcripts }: Pick<Stores, 'transcripts'>,
  { tenant, scope }: { readonly tenant: string; readonly scope: string },
  delta: readonly string[],
  closing: ClosingReason | undefined,
): Promise<readonly string[]> {
  // A turn without anything new is made anew by its reply alone: nothing of its own may stand before that.
  if (closing === undefined || delta.length === 0) return delta;
  const part: MessagePart = { kind: 'guidance', text: closingWords(closing), isClosing: true };
  return [...delta, await transcripts.writePart(tenant, scope, part)];
}

type Closing = { readonly closing?: ClosingReason };

/** Takes the words of a closing reply for the answer, whatever calls come with them. */
export function closingParts({ closing }: Closing, parts: readonly MessagePart[]): readonly MessagePart[] {
  const hasWords = parts.some((part) => part.kind === 'assistant-text' && part.text.trim() !== '');
  return closing === undefined || !hasWords ? parts : parts.filter(({ kind }) => kind !== 'tool-call');
}

/** Answers a call of a closing reply on the spot. */
export function notWhileClosing({ closing }: Closing, judged: JudgedCall): JudgedCall {
  return closing === undefined ? judged : { ...judged, outcome: { kind: 'problem', problem: NO_TOOLS } };
}
