import type { ModelPrice, TokenPrices } from './price.ts';

/**
 * How a provider keeps the beginning of prompts. `off` marks nothing: for agents whose runs make one call, seldom.
 * `lifetime` is for providers that are told what to keep (Anthropic, also on Bedrock): five minutes after the last use, or an hour at a dearer write.
 * `retention` is for OpenAI's models before 5.6 that offer it.
 */
export type PromptCachePolicy =
  'off' | { readonly lifetime?: PromptCacheLifetime; readonly retention?: 'in_memory' | '24h' };

export type PromptCacheLifetime = '5m' | '1h';

/** Gives the lifetime that a policy asks for. */
export function lifetimeOf(policy: PromptCachePolicy | undefined): PromptCacheLifetime {
  return policy === undefined || policy === 'off' ? '5m' : (policy.lifetime ?? '5m');
}

/** What an hour costs at Anthropic: twice the input. Five minutes cost a quarter more than input, as price tables say it. */
const HOUR_WRITE_FACTOR = 2n;

/** Raises what a write to the cache costs to the price of an hour, where the table's is that of five minutes. */
export function priceOfHour(price: ModelPrice): ModelPrice {
  return {
    ...price,
    base: raiseWrite(price.base),
    tiers: price.tiers.map((tier) => ({ ...tier, prices: raiseWrite(tier.prices) })),
  };
}

function raiseWrite(prices: TokenPrices): TokenPrices {
  const hour = prices.input * HOUR_WRITE_FACTOR;
  return prices.cacheWrite >= hour ? prices : { ...prices, cacheWrite: hour };
}
