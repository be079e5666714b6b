import { dayStart } from './calendar.ts';
import type { MatchRule } from './match-rule.ts';
import type { ModelPrice, TokenPrices } from './price.ts';

/** Pico-dollars per token, as whole numbers that JSON can hold. What is left out costs what the kind costs that it is a part of. */
export type RowPrices = { readonly [kind in keyof TokenPrices]?: number };

/** Prices of a model, from a day on or at hours of the day. */
export type PriceRow = {
  /** Day from which they hold, in UTC: `2026-03-13`. Left out: from ever. */
  readonly validFrom?: string;
  /** Seconds of the day, in UTC, between which they hold; the second may be on the next day. */
  readonly hours?: readonly [number, number];
  readonly base: RowPrices;
  /** Whole prices for calls with more input tokens than `above`. */
  readonly tiers?: readonly { readonly above: number; readonly prices: RowPrices }[];
  /** Pico-dollars. */
  readonly perRequest?: number;
  readonly perWebSearch?: number;
  /** Price of the batch lane relative to the base, in thousandths; left out: what the provider's costs. */
  readonly batchPerMille?: number;
  /** Nobody knows the price: this is the most that it can be. */
  readonly isCeiling?: true;
};

/** A model in a table of prices. */
export type PricedModel = {
  readonly id: string;
  /** Left out: the name is the id. */
  readonly match?: MatchRule;
  /** Tokens of prompt and reply together, where that is known. */
  readonly context?: number;
  /** The last that holds counts. Empty: listed, and what its tokens cost is not known. */
  readonly rows: readonly PriceRow[];
};

const SECONDS_PER_DAY = 86_400;

/** Finds the prices that hold at a moment, in milliseconds since 1970. Null where none does. */
export function rowAt(rows: readonly PriceRow[], at: number): PriceRow | null {
  return rows.findLast((row) => holdsAt(row, at)) ?? null;
}

function holdsAt({ validFrom, hours }: PriceRow, at: number): boolean {
  if (validFrom !== undefined && at < dayStart(validFrom)) return false;
  if (hours === undefined) return true;
  const second = Math.floor(at / 1000) % SECONDS_PER_DAY;
  const [from, to] = hours;
  return to < from ? second >= from || second < to : second >= from && second < to;
}

/** Turns a row into the prices that costs are computed from. The stamp of a ceiling says that it is one. */
export function toModelPrice(row: PriceRow, providersBatch: bigint, version: string): ModelPrice {
  const { perRequest, perWebSearch, batchPerMille: batch } = row;
  return {
    base: toTokenPrices(row.base),
    tiers: (row.tiers ?? []).map(({ above, prices }) => ({ inputTokensAbove: above, prices: toTokenPrices(prices) })),
    ...(perRequest === undefined ? {} : { perRequest: BigInt(perRequest) }),
    ...(perWebSearch === undefined ? {} : { perWebSearch: BigInt(perWebSearch) }),
    batchPerMille: batch === undefined ? providersBatch : BigInt(batch),
    version: row.isCeiling === true ? `ceiling-${version}` : version,
  };
}

/** Kinds whose price may be left out of a `TokenPrices` too. */
const OPTIONAL_KINDS = [
  'cacheWriteHour',
  'audioInput',
  'audioCacheRead',
  'audioOutput',
  'imageInput',
  'imageCacheRead',
  'imageOutput',
  'videoInput',
  'videoCacheRead',
  'videoOutput',
  'citation',
] as const;

function toTokenPrices(row: RowPrices): TokenPrices {
  const { input = 0, output = 0 } = row;
  const filled: RowPrices = { ...row, ...cachedMedia(row) };
  return {
    input: BigInt(input),
    output: BigInt(output),
    cacheRead: BigInt(row.cacheRead ?? input),
    cacheWrite: BigInt(row.cacheWrite ?? input),
    reasoning: BigInt(row.reasoning ?? output),
    ...Object.fromEntries(
      OPTIONAL_KINDS.flatMap((kind) => {
        const price = filled[kind];
        return price === undefined ? [] : [[kind, BigInt(price)]];
      }),
    ),
  };
}

/** Where cached input costs no less, cached sound costs what sound costs. */
function cachedMedia(row: RowPrices): RowPrices {
  if (row.cacheRead !== undefined) return {};
  return Object.fromEntries(
    (['audio', 'image', 'video'] as const).flatMap((medium) => {
      const price = row[`${medium}CacheRead`] ?? row[`${medium}Input`];
      return price === undefined ? [] : [[`${medium}CacheRead`, price]];
    }),
  );
}
