import { type Candidate, chooseModel, type ModelPolicy, type Tier, TIERS } from '../../../domain/model/model-policy.ts';
import type { TokenPrices } from '../../../domain/model/price.ts';
import type { ResolvedModel } from '../invoke-model.ts';
import type { Models } from '../providers.ts';

/**
 * Finds the model of another tier that is cheaper than that of the tier in use, whatever a call is like: no kind of token costs more, and one
 * costs less. The cheapest, where there are several; null where there is none, or where a price is not known.
 */
export async function findCheaper(models: Models, policy: ModelPolicy, usual: Tier): Promise<Candidate | null> {
  const own = await pricesOf(models, policy, usual);
  if (own === null) return null;
  let found: { readonly tier: Tier; readonly prices: readonly TokenPrices[] } = { tier: usual, prices: own };
  for (const tier of TIERS) {
    if (policy[tier] === undefined || tier === usual) continue;
    const prices = await pricesOf(models, policy, tier);
    if (prices !== null && isCheaper(prices, found.prices)) found = { tier, prices };
  }
  if (found.tier === usual) return null;
  const { fallbacks: _, ...choice } = chooseModel(policy, found.tier);
  return { choice, tier: found.tier, isHome: false };
}

async function pricesOf(models: Models, policy: ModelPolicy, tier: Tier): Promise<readonly TokenPrices[] | null> {
  // A model that cannot be called is no cheaper one; that it cannot shows where it is asked for itself.
  const resolved: ResolvedModel | null = await models.resolve(chooseModel(policy, tier)).catch(() => null);
  const price = resolved?.price ?? null;
  return price === null ? null : [price.base, ...price.tiers.map(({ prices }) => prices)];
}

const KINDS = ['input', 'output', 'cacheRead', 'cacheWrite', 'reasoning'] as const;

/** Compares the dearest that each kind of token can be with the cheapest that it can be elsewhere. */
function isCheaper(prices: readonly TokenPrices[], than: readonly TokenPrices[]): boolean {
  const pairs = KINDS.map((kind) => [most(prices, kind), least(than, kind)] as const);
  return pairs.every(([ours, theirs]) => ours <= theirs) && pairs.some(([ours, theirs]) => ours < theirs);
}

function most(prices: readonly TokenPrices[], kind: (typeof KINDS)[number]): bigint {
  return prices.map((each) => each[kind]).reduce((a, b) => (a > b ? a : b));
}

function least(prices: readonly TokenPrices[], kind: (typeof KINDS)[number]): bigint {
  return prices.map((each) => each[kind]).reduce((a, b) => (a < b ? a : b));
}
