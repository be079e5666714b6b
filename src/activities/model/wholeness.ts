import type { LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { watchChat, watchGoogle, watchMessages, watchResponse } from './wire-signs.ts';

/** Watches a reply for signs that events of it were lost or came twice, although it has an end. */
export type Wholeness = {
  readonly note: (part: LanguageModelV4StreamPart) => void;
  /** Asked at the end. */
  readonly isWhole: () => boolean;
};

/**
 * Holds a reply against what it says of itself: what begins must end, a reply that ends with calls has some, nothing is said after the end,
 * and each protocol has signs of its own. A word that is lost from the middle of a text, in a protocol that neither counts nor repeats its
 * events, cannot be found missing.
 */
export function watchWholeness(): Wholeness {
  const open = new Set<string>();
  const signs = [watchResponse(), watchChat(), watchGoogle(), watchMessages()];
  const said = new Map<string, string>();
  let calls = 0;
  let ends = 0;
  let endsWithCalls = false;
  let isBroken = false;
  const begin = (key: string): void => {
    if (ends > 0) isBroken = true;
    open.add(key);
  };
  const note = (part: LanguageModelV4StreamPart): void => {
    if (part.type === 'raw') for (const sign of signs) sign.note(part.rawValue);
    else if (part.type === 'text-start' || part.type === 'reasoning-start') begin(`words ${part.id}`);
    else if (part.type === 'text-end' || part.type === 'reasoning-end') open.delete(`words ${part.id}`);
    else if (part.type === 'text-delta') said.set(part.id, (said.get(part.id) ?? '') + part.delta);
    else if (part.type === 'tool-input-start' && part.providerExecuted !== true) begin(`call ${part.id}`);
    else if (part.type === 'tool-call') {
      open.delete(`call ${part.toolCallId}`);
      calls += 1;
    } else if (part.type === 'finish') {
      ends += 1;
      endsWithCalls = part.finishReason.unified === 'tool-calls';
    }
  };
  return {
    note,
    isWhole: () =>
      !isBroken &&
      open.size === 0 &&
      (calls > 0 || !endsWithCalls) &&
      signs.every((sign) => sign.isWhole([...said.values()])),
  };
}
