import type { ModelPrice, TokenPrices } from './price.ts';

/** Goes up with every change of the table; observations carry it. The prices are OpenAI's list prices. */
const TABLE_VERSION = 'openai-1';

/** Above this many input tokens OpenAI charges the long-context prices, for the whole call. */
const LONG_CONTEXT_TOKENS = 272_000;

/** USD per million tokens. Left out: cached input costs what input costs, and writing the cache costs what input costs. */
type Row = {
  readonly input: number;
  readonly output: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
  readonly longContext?: Omit<Row, 'longContext'>;
};

const ROWS: Readonly<Record<string, Row>> = {
  'gpt-4o': { input: 2.5, cacheRead: 1.25, output: 10 },
  'gpt-4o-mini': { input: 0.15, cacheRead: 0.075, output: 0.6 },
  'gpt-4.1': { input: 2, cacheRead: 0.5, output: 8 },
  'gpt-4.1-mini': { input: 0.4, cacheRead: 0.1, output: 1.6 },
  'gpt-4.1-nano': { input: 0.1, cacheRead: 0.025, output: 0.4 },
  'gpt-5': { input: 1.25, cacheRead: 0.125, output: 10 },
  'gpt-5-mini': { input: 0.25, cacheRead: 0.025, output: 2 },
  'gpt-5-nano': { input: 0.05, cacheRead: 0.005, output: 0.4 },
  'gpt-5-pro': { input: 15, output: 120 },
  'gpt-5.1': { input: 1.25, cacheRead: 0.125, output: 10 },
  'gpt-5.1-codex-mini': { input: 0.25, cacheRead: 0.025, output: 2 },
  'gpt-5.2': { input: 1.75, cacheRead: 0.175, output: 14 },
  'gpt-5.2-pro': { input: 21, output: 168 },
  'gpt-5.3': { input: 1.75, cacheRead: 0.175, output: 14 },
  'gpt-5.4': {
    input: 2.5,
    cacheRead: 0.25,
    output: 15,
    longContext: { input: 5, cacheRead: 0.5, output: 22.5 },
  },
  'gpt-5.4-mini': { input: 0.75, cacheRead: 0.075, output: 4.5 },
  'gpt-5.4-nano': { input: 0.2, cacheRead: 0.02, output: 1.25 },
  'gpt-5.4-pro': { input: 30, output: 180, longContext: { input: 60, output: 270 } },
  'gpt-5.5': { input: 5, cacheRead: 0.5, output: 30 },
  'gpt-5.5-pro': { input: 30, output: 180 },
  'gpt-5.6-luna': {
    input: 1,
    cacheRead: 0.1,
    cacheWrite: 1.25,
    output: 6,
    longContext: { input: 2, cacheRead: 0.2, cacheWrite: 2.5, output: 9 },
  },
  'gpt-5.6-sol': {
    input: 5,
    cacheRead: 0.5,
    cacheWrite: 6.25,
    output: 30,
    longContext: { input: 10, cacheRead: 1, cacheWrite: 12.5, output: 45 },
  },
  'gpt-5.6-terra': {
    input: 2.5,
    cacheRead: 0.25,
    cacheWrite: 3.125,
    output: 15,
    longContext: { input: 5, cacheRead: 0.5, cacheWrite: 6.25, output: 22.5 },
  },
  o1: { input: 15, cacheRead: 7.5, output: 60 },
  o3: { input: 2, cacheRead: 0.5, output: 8 },
  'o3-mini': { input: 1.1, cacheRead: 0.55, output: 4.4 },
  'o3-pro': { input: 20, output: 80 },
  'o4-mini': { input: 1.1, cacheRead: 0.275, output: 4.4 },
};

/** Names under which a model of the table is sold as well. */
const ALIASES: Readonly<Record<string, string>> = {
  'gpt-5-chat-latest': 'gpt-5',
  'gpt-5-codex': 'gpt-5',
  'gpt-5.1-chat-latest': 'gpt-5.1',
  'gpt-5.1-codex': 'gpt-5.1',
  'gpt-5.1-codex-max': 'gpt-5.1',
  'gpt-5.2-chat-latest': 'gpt-5.2',
  'gpt-5.3-chat-latest': 'gpt-5.3',
  'gpt-5.3-codex': 'gpt-5.3',
  'gpt-5.6': 'gpt-5.6-sol',
};

/** What rehearsals and scripts cost, as a simulation: a run with a real model of that size costs about the same. */
const SIMULATED_AS = 'gpt-5-mini';

/** Finds the price of an OpenAI model by its name, with or without the date at its end. Null when it is not in the table. */
export function priceOfModel(model: string): ModelPrice | null {
  const name = model.replace(/-\d{4}-\d{2}-\d{2}$/, '');
  const key = ALIASES[name] ?? name;
  const row = Object.hasOwn(ROWS, key) ? ROWS[key] : undefined;
  return row === undefined ? null : toPrice(row, TABLE_VERSION);
}

/** Prices what a simulated model would have cost. */
export function simulatedPrice(): ModelPrice {
  return toPrice(ROWS[SIMULATED_AS] as Row, `simulated-${TABLE_VERSION}`);
}

/** Prices every kind of token alike: the most that a person says a model without a price costs, in USD per million tokens. */
export function ceilingPrice(usdPerMillion: number): ModelPrice {
  return toPrice({ input: usdPerMillion, output: usdPerMillion }, `ceiling-${usdPerMillion}`, 1000n);
}

/** OpenAI's batch API costs half. */
const BATCH_PER_MILLE = 500n;

function toPrice(row: Row, version: string, batchPerMille: bigint = BATCH_PER_MILLE): ModelPrice {
  const { longContext } = row;
  return {
    base: toTokenPrices(row),
    tiers:
      longContext === undefined ? [] : [{ inputTokensAbove: LONG_CONTEXT_TOKENS, prices: toTokenPrices(longContext) }],
    batchPerMille,
    version,
  };
}

function toTokenPrices(row: Row): TokenPrices {
  return {
    input: picoPerToken(row.input),
    output: picoPerToken(row.output),
    cacheRead: picoPerToken(row.cacheRead ?? row.input),
    cacheWrite: picoPerToken(row.cacheWrite ?? row.input),
    reasoning: picoPerToken(row.output),
  };
}

/** One USD per million tokens is 1,000,000 pico-dollars a token. */
function picoPerToken(usdPerMillion: number): bigint {
  return BigInt(Math.round(usdPerMillion * 1e6));
}
