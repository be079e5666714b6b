import { mostInWindow } from './rate-simulation.ts';
import { type Answer, type ProviderRequest, rateLimited } from './provider-server.ts';

/** What a provider with a limit has seen. */
export type SlidingLimit = {
  readonly answer: Answer;
  /** Refusals for the rate. */
  readonly refused: () => number;
  /** Tokens served to those that a request names, between two moments of `performance.now()`. */
  readonly served: (who: string, fromMs: number, toMs: number) => number;
  /** The most tokens that any window held. */
  readonly most: () => number;
  /** The most tokens that came above the limit's steady pace: what a bucket that leaks at that pace would have to hold. */
  readonly burst: () => number;
};

/**
 * Plays a provider that enforces its limit as a sliding window over tokens of prompt and reply, counted when a request arrives, and answers
 * 429 above it. `who` finds in a request for whom it is.
 */
export function slidingLimit(
  { tokens: limit, windowMs }: { readonly tokens: number; readonly windowMs: number },
  cost: (request: ProviderRequest) => { readonly prompt: number; readonly reply: number; readonly delayMs: number },
  who: (request: ProviderRequest) => string,
): SlidingLimit {
  const served: { readonly at: number; readonly tokens: number; readonly who: string }[] = [];
  let refused = 0;
  return {
    answer: (request) => {
      const { prompt, reply, delayMs } = cost(request);
      const now = performance.now();
      const used = served.reduce((sum, { at, tokens }) => (at > now - windowMs ? sum + tokens : sum), 0);
      if (used + prompt + reply > limit) {
        refused += 1;
        return rateLimited(1);
      }
      served.push({ at: now, tokens: prompt + reply, who: who(request) });
      const usage = { prompt_tokens: prompt, completion_tokens: reply, total_tokens: prompt + reply };
      return { kind: 'reply', text: 'Done.', usage, delayMs };
    },
    refused: () => refused,
    served: (name, fromMs, toMs) =>
      served.reduce(
        (sum, call) => (call.who === name && call.at >= fromMs && call.at < toMs ? sum + call.tokens : sum),
        0,
      ),
    most: () => mostInWindow(served, windowMs),
    burst: () => {
      let [most, held, heldAt] = [0, 0, 0];
      for (const { at, tokens } of served) {
        held = Math.max(0, held - ((at - heldAt) * limit) / windowMs) + tokens;
        heldAt = at;
        most = Math.max(most, held);
      }
      return most;
    },
  };
}

/** Bytes of a request's words and tools, by which both sides of a test count tokens. */
export function requestBytes({ messages, tools }: ProviderRequest): number {
  return Buffer.byteLength(JSON.stringify(messages) + JSON.stringify(tools ?? []));
}
