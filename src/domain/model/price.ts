import type { Usage } from './usage.ts';

/** Pico-dollars per token (10⁻¹² USD), as integers: 1 USD per million tokens is 1,000,000. */
export type TokenPrices = {
  readonly input: bigint;
  readonly output: bigint;
  readonly cacheRead: bigint;
  readonly cacheWrite: bigint;
  readonly reasoning: bigint;
};

/** The prices of one model. `tiers` replace the base prices for calls whose input is above a number of tokens. */
export type ModelPrice = {
  readonly base: TokenPrices;
  readonly tiers: readonly { readonly inputTokensAbove: number; readonly prices: TokenPrices }[];
  /** Price of the batch lane relative to the base, in thousandths. */
  readonly batchPerMille: bigint;
  /** Version of the table the price comes from, stamped on each observation. */
  readonly version: string;
};

/** What a call cost, in pico-dollars. Cached input is charged at its own price, the rest of the input at the input price. */
export function costOf(price: ModelPrice, usage: Usage): bigint {
  const prices = pricesFor(price, usage.inputTokens);
  const freshInput = Math.max(0, usage.inputTokens - usage.cacheReadTokens - usage.cacheWriteTokens);
  const plainOutput = Math.max(0, usage.outputTokens - usage.reasoningTokens);
  return (
    BigInt(freshInput) * prices.input +
    BigInt(usage.cacheReadTokens) * prices.cacheRead +
    BigInt(usage.cacheWriteTokens) * prices.cacheWrite +
    BigInt(plainOutput) * prices.output +
    BigInt(usage.reasoningTokens) * prices.reasoning
  );
}

/** The most a call can cost, in pico-dollars: every input token at the dearest input price, every output token at the dearest output price. */
export function worstCost(
  price: ModelPrice,
  bound: { readonly inputTokens: number; readonly outputTokens: number },
): bigint {
  const candidates = [price.base, ...price.tiers.map((tier) => tier.prices)];
  const input = candidates.flatMap((prices) => [prices.input, prices.cacheRead, prices.cacheWrite]);
  const output = candidates.flatMap((prices) => [prices.output, prices.reasoning]);
  return BigInt(bound.inputTokens) * maxOf(input) + BigInt(bound.outputTokens) * maxOf(output);
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
