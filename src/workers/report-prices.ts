import type { UnknownPrice } from '../activities/model/watch-prices.ts';
import type { Logger } from '../runtime/logger.ts';
import { stalePrices } from '../runtime/price-book.ts';
import type { Metrics } from './metrics/create-metrics.ts';

/** Warns in the log that the table of prices is old. */
export function warnOfStalePrices(logger: Logger, now: number): void {
  const warning = stalePrices(now);
  if (warning !== null) logger.warn(`${warning}; a newer version of Perdure or PERDURE_PRICES_FILE has newer ones`);
}

/** Counts calls to models without a known price, and logs each model once in a process. */
export function reportUnknownPrices(
  logger: Logger,
  count: (unknown: UnknownPrice) => void,
): (unknown: UnknownPrice) => void {
  const logged = new Set<string>();
  return (unknown) => {
    count(unknown);
    const { modelId: model, hasCeiling } = unknown;
    if (logged.has(model)) return;
    logged.add(model);
    const problem = `nobody knows the price of ${model}`;
    if (hasCeiling) logger.info({ problem }, 'calls of a model are charged at the ceiling');
    else logger.warn({ problem }, 'calls of a model are refused until it has a price or a ceiling');
  };
}

/** Counts a call to a model without a known price. */
export function countUnknownPrice(metrics: Metrics, { modelId: model, hasCeiling }: UnknownPrice): void {
  metrics.count('perdure_model_prices_unknown_total', { model, ceiling: String(hasCeiling) });
}
