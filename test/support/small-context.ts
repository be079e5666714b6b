import type { JsonValue } from '../../src/domain/json.ts';
import { IN_PLACE_START, SUMMARY_INSTRUCTIONS } from '../../src/domain/memory/summary.ts';
import { type Behaviour, type ProviderRequest, refusals } from './provider-server.ts';

/** Tokens of prompt and reply together that the small model takes. */
export const CONTEXT_TOKENS = 32_000;

/** Tokens of one reply of the small model. */
export const REPLY_TOKENS = 1_000;

/** Counts as the provider's usage does: a token for every four bytes of what was sent. */
export function promptTokens({ messages, tools }: ProviderRequest): number {
  return Math.ceil(Buffer.byteLength(JSON.stringify(messages) + JSON.stringify(tools ?? [])) / 4);
}

/** Tells whether a request asks for a summary of turns that it gives as a text. */
export function isSummaryRequest({ messages }: ProviderRequest): boolean {
  return messages[0]?.role === 'system' && textOf(messages[0].content) === SUMMARY_INSTRUCTIONS;
}

/** Tells whether a request asks the agent's own model for a summary, at the end of its prompt. */
export function isInPlace({ messages }: ProviderRequest): boolean {
  return textOf(messages.at(-1)?.content).includes(IN_PLACE_START);
}

/** Plays a model that really refuses what its context cannot hold. */
export function withSmallContext(
  answer: (request: ProviderRequest) => Behaviour,
): (request: ProviderRequest) => Behaviour {
  return (request) =>
    promptTokens(request) + REPLY_TOKENS > CONTEXT_TOKENS ? refusals.contextTooLong : answer(request);
}

/** Gives the words of a message, however they are packed. */
export function textOf(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part) => (typeof part === 'object' && part !== null && 'text' in part ? String(part.text) : ''))
    .join('\n');
}

/** Gives all words of a request. */
export function wordsOf({ messages }: ProviderRequest): string {
  return messages.map(({ content }) => textOf(content)).join('\n');
}
