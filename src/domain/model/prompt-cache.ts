import type { ModelPrice, TokenPrices } from './price.ts';

/**
 * How a provider keeps the beginning of prompts. `off` marks nothing: for agents whose runs make one call, seldom.
 * `lifetime` is for providers that are told what to keep (Anthropic, also on Bedrock): five minutes after the last use, or an hour at a dearer write.
 * `sharedLifetime` is that of what all runs of a release begin with, tools and instructions, where it is to be kept longer than the rest.
 * `retention` is for OpenAI's models before 5.6 that offer it.
 */
export type PromptCachePolicy =
  | 'off'
  | {
      readonly lifetime?: PromptCacheLifetime;
      readonly sharedLifetime?: PromptCacheLifetime;
      readonly retention?: 'in_memory' | '24h';
    };

export type PromptCacheLifetime = '5m' | '1h';

/** How long a provider keeps tools and instructions, and how long the rest. What comes first is never kept for less: providers refuse that. */
export type Lifetimes = { readonly shared: PromptCacheLifetime; readonly history: PromptCacheLifetime };

/** Gives the lifetimes that a policy asks for. */
export function lifetimesOf(policy: PromptCachePolicy | undefined): Lifetimes {
  if (policy === undefined || policy === 'off') return { shared: '5m', history: '5m' };
  const { lifetime: history = '5m', sharedLifetime = history } = policy;
  return { shared: history === '1h' ? '1h' : sharedLifetime, history };
}

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  lifetime: ['5m', '1h'],
  sharedLifetime: ['5m', '1h'],
  retention: ['in_memory', '24h'],
};

/** Says what to change in a policy, beginning with the member that is wrong; null when it is sound. */
export function promptCacheProblem(policy: PromptCachePolicy | undefined): string | null {
  if (policy === undefined || policy === 'off') return null;
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) {
    return `promptCache must be "off" or an object such as { lifetime: "1h" }, got ${JSON.stringify(policy)}`;
  }
  for (const [member, value] of Object.entries(policy)) {
    const values = MEMBERS[member];
    if (values === undefined) return `promptCache.${member} is not known: there are ${Object.keys(MEMBERS).join(', ')}`;
    if (value !== undefined && !values.includes(value)) {
      return `promptCache.${member} must be ${values.join(' or ')}, got ${JSON.stringify(value)}`;
    }
  }
  const isShorter = policy.lifetime === '1h' && policy.sharedLifetime === '5m';
  return isShorter ? 'promptCache.sharedLifetime must not be shorter than lifetime: providers refuse that' : null;
}

/** What an hour costs at Anthropic: twice the input. Five minutes cost a quarter more than input, as price tables say it. */
const HOUR_WRITE_FACTOR = 2n;

/**
 * Prices a model whose cache keeps something for an hour. Where it keeps everything so, each write has that price, whatever is said of it; else only what
 * the provider says to be kept so long.
 */
export function withHourPrice(price: ModelPrice, { history }: Lifetimes): ModelPrice {
  const raise = (prices: TokenPrices): TokenPrices => {
    const hour = max(prices.input * HOUR_WRITE_FACTOR, prices.cacheWriteHour ?? 0n);
    const every = history === '1h' ? { cacheWrite: max(prices.cacheWrite, hour) } : {};
    return { ...prices, ...every, cacheWriteHour: hour };
  };
  return {
    ...price,
    base: raise(price.base),
    tiers: price.tiers.map((tier) => ({ ...tier, prices: raise(tier.prices) })),
  };
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
