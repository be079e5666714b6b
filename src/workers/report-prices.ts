import type { UnknownPrice } from '../activities/model/watch-prices.ts';
import { DAY_MS } from '../domain/model/calendar.ts';
import type { Logger } from '../runtime/logger.ts';
import { stalePrices } from '../runtime/price-book.ts';
import type { Metrics } from './metrics/create-metrics.ts';

/** Warns in the log that the table of prices is old: at once, and once a day for as long as the process runs. */
export function warnOfStalePrices(logger: Logger, now: () => number = Date.now): { readonly stop: () => void } {
  const warnIfStale = (): void => {
    const warning = stalePrices(now());
    if (warning !== null) logger.warn(`${warning}; a newer version of Perdure or PERDURE_PRICES_FILE has newer ones`);
  };
  warnIfStale();
  const timer = setInterval(warnIfStale, DAY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Counts calls to models without a known price, and logs each model once a day. */
export function reportUnknownPrices(
  logger: Logger,
  count: (unknown: UnknownPrice) => void,
  now: () => number = Date.now,
): (unknown: UnknownPrice) => void {
  const loggedAt = new Map<string, number>();
  return (unknown) => {
    count(unknown);
    const { modelId: model, hasCeiling } = unknown;
    if (now() - (loggedAt.get(model) ?? Number.NEGATIVE_INFINITY) < DAY_MS) return;
    loggedAt.set(model, now());
    const problem = `nobody knows the price of ${model}`;
    if (hasCeiling) logger.info({ problem }, 'calls of a model are charged at the ceiling');
    else logger.warn({ problem }, 'calls of a model are refused until it has a price or a ceiling');
  };
}

/** Counts a call to a model without a known price. */
export function countUnknownPrice(metrics: Metrics, { modelId: model, hasCeiling }: UnknownPrice): void {
  metrics.count('perdure_model_prices_unknown_total', { model, ceiling: String(hasCeiling) });
}
