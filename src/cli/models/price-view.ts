import { batchCostOf, costOf, formatUsd, isCeiling, type TokenPrices } from '../../domain/model/price.ts';
import type { FoundPrice } from '../../domain/model/price-table.ts';
import { type PriceRow, toModelPrice } from '../../domain/model/price-row.ts';
import { NO_USAGE } from '../../domain/model/usage.ts';

/** USD per million tokens, as decimals. */
export type UsdPerMillion = { readonly [kind in keyof TokenPrices]?: string };

/** Prices of a model that hold from a day on, or at hours of the day. */
export type PeriodView = {
  readonly validFrom: string | null;
  /** `16:30 to 00:30 UTC`; null: at all hours. */
  readonly hours: string | null;
  /** The most that it can be: the price is not known. */
  readonly isCeiling: boolean;
  readonly usdPerMillion: UsdPerMillion;
  readonly tiers: readonly { readonly inputTokensAbove: number; readonly usdPerMillion: UsdPerMillion }[];
  readonly usdPerRequest: string | null;
  readonly usdPerWebSearch: string | null;
};

/** Everything that is known of a model's price. */
export type PriceView = {
  /** `provider:model`, as it was asked for. */
  readonly id: string;
  /** The entry that it stands under. */
  readonly entry: string;
  readonly contextTokensMax: number | null;
  readonly isCeiling: boolean;
  /** What holds now. */
  readonly now: Omit<PeriodView, 'validFrom' | 'hours' | 'isCeiling'>;
  /** All of them, where there are others than those of now. */
  readonly periods: readonly PeriodView[];
  /** Price of the batch lane relative to the others, in thousandths. */
  readonly batchPerMille: number;
  readonly version: string;
  readonly source: string;
  readonly example: {
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly usd: string;
    readonly batchUsd: string;
  };
};

/** A call of a usual size, to compare models by. */
const EXAMPLE = { inputTokens: 1_000, outputTokens: 500 };

/** Shows a price that was found. */
export function viewPrice(id: string, { price, model }: FoundPrice, source: string): PriceView {
  const current = {
    usdPerMillion: viewTokens(price.base),
    tiers: price.tiers.map(({ inputTokensAbove, prices }) => ({ inputTokensAbove, usdPerMillion: viewTokens(prices) })),
    usdPerRequest: price.perRequest === undefined ? null : formatUsd(price.perRequest),
    usdPerWebSearch: price.perWebSearch === undefined ? null : formatUsd(price.perWebSearch),
  };
  return {
    id,
    entry: model.id,
    contextTokensMax: model.context ?? null,
    isCeiling: isCeiling(price),
    now: current,
    periods: model.rows.length < 2 ? [] : model.rows.map(viewPeriod),
    batchPerMille: Number(price.batchPerMille),
    version: price.version,
    source,
    example: {
      ...EXAMPLE,
      usd: formatUsd(costOf(price, { ...NO_USAGE, ...EXAMPLE })),
      batchUsd: formatUsd(batchCostOf(price, { ...NO_USAGE, ...EXAMPLE })),
    },
  };
}

function viewPeriod(row: PriceRow): PeriodView {
  const { base, tiers, perRequest, perWebSearch } = toModelPrice(row, 1000n, '');
  return {
    validFrom: row.validFrom ?? null,
    hours: row.hours === undefined ? null : `${row.hours.map(clock).join(' to ')} UTC`,
    isCeiling: row.isCeiling === true,
    usdPerMillion: viewTokens(base),
    tiers: tiers.map(({ inputTokensAbove, prices }) => ({ inputTokensAbove, usdPerMillion: viewTokens(prices) })),
    usdPerRequest: perRequest === undefined ? null : formatUsd(perRequest),
    usdPerWebSearch: perWebSearch === undefined ? null : formatUsd(perWebSearch),
  };
}

function clock(second: number): string {
  const minutes = Math.floor(second / 60);
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

/** One pico-dollar a token is a millionth of a dollar per million tokens. */
export function usdPerMillion(picoPerToken: bigint): string {
  return formatUsd(picoPerToken * 1_000_000n);
}

function viewTokens(prices: TokenPrices): UsdPerMillion {
  return Object.fromEntries(Object.entries(prices).map(([kind, pico]) => [kind, usdPerMillion(pico)]));
}
