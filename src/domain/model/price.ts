import type { Usage } from './usage.ts';

/**
 * Pico-dollars per token (10⁻¹² USD), as integers: 1 USD per million tokens is 1,000,000. A kind that is left out costs what the kind costs
 * that it is a part of: audio in the output what output costs, an hour's cache write what a cache write costs.
 */
export type TokenPrices = {
  readonly input: bigint;
  readonly output: bigint;
  readonly cacheRead: bigint;
  readonly cacheWrite: bigint;
  readonly reasoning: bigint;
  readonly cacheWriteHour?: bigint;
  readonly audioInput?: bigint;
  readonly audioCacheRead?: bigint;
  readonly audioOutput?: bigint;
  readonly imageInput?: bigint;
  readonly imageCacheRead?: bigint;
  readonly imageOutput?: bigint;
  readonly videoInput?: bigint;
  readonly videoCacheRead?: bigint;
  readonly videoOutput?: bigint;
  readonly citation?: bigint;
};

/** The prices of one model. `tiers` replace the base prices for calls whose input is above a number of tokens. */
export type ModelPrice = {
  readonly base: TokenPrices;
  readonly tiers: readonly { readonly inputTokensAbove: number; readonly prices: TokenPrices }[];
  /** Pico-dollars that each request costs beside its tokens. */
  readonly perRequest?: bigint;
  /** Pico-dollars of a search that the provider makes by itself. */
  readonly perWebSearch?: bigint;
  /** Price of the batch lane relative to the base, in thousandths. */
  readonly batchPerMille: bigint;
  /** Version of the table the price comes from, stamped on each observation. */
  readonly version: string;
};

/** What a call cost, in pico-dollars: for what the model read, for what it wrote, and for the request itself with its searches. */
export type CostParts = { readonly input: bigint; readonly output: bigint; readonly other: bigint };

/** What a call can use at most. */
export type UsageBound = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Defaults to none: no search of a provider's is offered to a model. */
  readonly webSearches?: number;
};

/** One kind of tokens, how many there are, and its price. */
type Share = { readonly tokens: number; readonly price: bigint | undefined };

/** What a call cost, in pico-dollars. Cached input is charged at its own price, the rest of the input at the input price. */
export function costOf(price: ModelPrice, usage: Usage): bigint {
  const { input, output, other } = costParts(price, usage);
  return input + output + other;
}

/**
 * What a call cost, part by part. Kinds with a price of their own are taken out of the whole one after the other and the rest costs the plain
 * price, so that no token is charged twice, whatever a usage says.
 */
export function costParts(price: ModelPrice, usage: Usage): CostParts {
  const prices = pricesFor(price, usage.inputTokens);
  return {
    input: charge(usage.inputTokens, prices.input, inputShares(prices, usage)),
    output: charge(usage.outputTokens, prices.output, outputShares(prices, usage)),
    other: (price.perRequest ?? 0n) + BigInt(usage.webSearches ?? 0) * (price.perWebSearch ?? 0n),
  };
}

/**
 * What a call costs in its provider's batch lane. The lane is cheaper by the token; a request and a search cost what they always do. Parts of a
 * pico-dollar are rounded up.
 */
export function batchCostOf(price: ModelPrice, usage: Usage): bigint {
  const { input, output, other } = costParts(price, usage);
  return ((input + output) * price.batchPerMille + PER_MILLE - 1n) / PER_MILLE + other;
}

const PER_MILLE = 1000n;

/** Tells whether a price is the most that a model can cost, because nobody knows what it does cost. Its stamp says so. */
export function isCeiling({ version }: ModelPrice): boolean {
  return version.startsWith('ceiling-');
}

/** What a reply costs: what it used or, where its provider did not say that, the most that it can cost. */
export function costOfReply(
  price: ModelPrice,
  { usage, usageEstimated }: { readonly usage: Usage; readonly usageEstimated: boolean },
): bigint {
  return usageEstimated ? worstCost(price, usage) : costOf(price, usage);
}

/**
 * The most a call can cost, in pico-dollars: every input token at the dearest input price, every output token at the dearest output price, of
 * all tiers that its input can reach.
 */
export function worstCost(price: ModelPrice, bound: UsageBound): bigint {
  const reached = price.tiers.filter(({ inputTokensAbove }) => bound.inputTokens > inputTokensAbove);
  const candidates = [price.base, ...reached.map((tier) => tier.prices)];
  const input = candidates.flatMap((prices) => [
    prices.input,
    ...inputShares(prices, NOTHING).map((share) => share.price ?? 0n),
  ]);
  const output = candidates.flatMap((prices) => [
    prices.output,
    ...outputShares(prices, NOTHING).map((share) => share.price ?? 0n),
  ]);
  return (
    BigInt(bound.inputTokens) * maxOf(input) +
    BigInt(bound.outputTokens) * maxOf(output) +
    (price.perRequest ?? 0n) +
    BigInt(bound.webSearches ?? 0) * (price.perWebSearch ?? 0n)
  );
}

const NOTHING: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

/** Sound and pictures that were cached come before the cache, and the cache before them: each token is one of these. */
function inputShares(prices: TokenPrices, usage: Usage): readonly Share[] {
  const media = (['audio', 'image', 'video'] as const).map((medium) => {
    const all = usage[`${medium}InputTokens`] ?? 0;
    const cached = Math.min(all, usage[`${medium}CacheReadTokens`] ?? 0);
    return {
      fresh: { tokens: all - cached, price: prices[`${medium}Input`] },
      cached: { tokens: cached, price: prices[`${medium}CacheRead`] },
    };
  });
  const mediaCached = media.map((medium) => medium.cached).filter(hasPrice);
  const hour = prices.cacheWriteHour === undefined ? 0 : (usage.cacheWriteHourTokens ?? 0);
  return [
    ...mediaCached,
    { tokens: usage.cacheReadTokens - sumOf(mediaCached), price: prices.cacheRead },
    { tokens: hour, price: prices.cacheWriteHour },
    { tokens: usage.cacheWriteTokens - hour, price: prices.cacheWrite },
    ...media.map((medium) => medium.fresh),
  ].filter(hasPrice);
}

function outputShares(prices: TokenPrices, usage: Usage): readonly Share[] {
  return [
    { tokens: usage.reasoningTokens, price: prices.reasoning },
    { tokens: usage.audioOutputTokens ?? 0, price: prices.audioOutput },
    { tokens: usage.imageOutputTokens ?? 0, price: prices.imageOutput },
    { tokens: usage.videoOutputTokens ?? 0, price: prices.videoOutput },
    { tokens: usage.citationTokens ?? 0, price: prices.citation },
  ].filter(hasPrice);
}

function hasPrice({ price }: Share): boolean {
  return price !== undefined;
}

function sumOf(shares: readonly Share[]): number {
  return shares.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** A kind without a price of its own takes no token from one that has one: sound that was thought of costs what sound costs. */
function charge(whole: number, plain: bigint, shares: readonly Share[]): bigint {
  let left = whole;
  let cost = 0n;
  for (const { tokens, price = plain } of shares) {
    if (price === plain) continue;
    const taken = Math.min(left, Math.max(0, tokens));
    left -= taken;
    cost += BigInt(taken) * price;
  }
  return cost + BigInt(left) * plain;
}

const PICO_PER_USD = 1_000_000_000_000n;

/** Turns USD into pico-dollars, rounded to the nearest. For limits a person wrote; money that was charged never passes through here. */
export function picoFromUsd(usd: number): bigint {
  return BigInt(Math.round(usd * 1e9)) * 1000n;
}

/** Writes pico-dollars as USD with at least two and at most twelve decimals: `0.00012`. */
export function formatUsd(pico: bigint): string {
  const sign = pico < 0n ? '-' : '';
  const absolute = pico < 0n ? -pico : pico;
  const decimals = (absolute % PICO_PER_USD)
    .toString()
    .padStart(12, '0')
    .replace(/0{1,10}$/, '');
  return `${sign}${absolute / PICO_PER_USD}.${decimals}`;
}

function pricesFor(price: ModelPrice, inputTokens: number): TokenPrices {
  let chosen = price.base;
  let above = -1;
  for (const tier of price.tiers) {
    if (inputTokens > tier.inputTokensAbove && tier.inputTokensAbove > above) {
      chosen = tier.prices;
      above = tier.inputTokensAbove;
    }
  }
  return chosen;
}

function maxOf(values: readonly bigint[]): bigint {
  return values.reduce((most, value) => (value > most ? value : most), 0n);
}
