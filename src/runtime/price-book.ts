import { readFileSync } from 'node:fs';
import { DAY_MS, dayStart } from '../domain/model/calendar.ts';
import { type OwnPrice, PRICE_TABLE, type PriceBook, type PriceFile } from '../domain/model/price-table.ts';
import type { PricedModel, PriceRow, RowPrices } from '../domain/model/price-row.ts';
import { parse } from '../domain/schemas/parse.ts';
import { type PriceFileModel, priceFileSchema } from '../domain/schemas/price-file.ts';
import { contentHash } from '../domain/sha-256.ts';
import { ConfigurationError, type Environment } from './config.ts';

/** Days after which the table is called old: providers change their prices monthly, and seldom within a month. */
export const PRICES_STALE_DAYS = 45;

/** Characters of a hash that tell one file from another. */
const STAMP_LENGTH = 8;

/**
 * Opens the prices that hold in this process: the table, and before it the file that `PERDURE_PRICES_FILE` names.
 *
 * @throws ConfigurationError for a file that cannot be read or used: a typing error must not make a model cheap.
 */
export function openPriceBook(env: Environment, now: () => number = Date.now): PriceBook {
  const path = env['PERDURE_PRICES_FILE'];
  return { file: path === undefined || path.trim() === '' ? null : readPriceFile(path), now };
}

/** Whole days since the table's data was fetched. None by a clock that is behind. */
export function priceTableAge(now: number): number {
  return Math.max(0, Math.floor((now - dayStart(PRICE_TABLE.fetchedAt)) / DAY_MS));
}

/** Says that the table is old; null while it is not. */
export function stalePrices(now: number): string | null {
  const days = priceTableAge(now);
  if (days <= PRICES_STALE_DAYS) return null;
  return `the prices of ${PRICE_TABLE.version} were fetched ${days} days ago; providers may have changed theirs since`;
}

function readPriceFile(path: string): PriceFile {
  const refuse = (problem: string): never => {
    throw new ConfigurationError(`PERDURE_PRICES_FILE names ${JSON.stringify(path)}, which ${problem}`);
  };
  const content = parse(priceFileSchema, readJson(path, refuse));
  if (content.kind === 'problem') return refuse(`cannot be used: ${content.problem}`);
  const { version, models } = content.value;
  const noDay = models.find(({ validFrom }) => validFrom !== undefined && !isDay(validFrom));
  if (noDay !== undefined)
    return refuse(`cannot be used: ${noDay.id} is to begin on ${noDay.validFrom}, which no month has`);
  const named = [...Map.groupBy(models, ({ id }) => id.toLowerCase()).values()];
  const twice = named.flatMap((entries) => secondOfDay(entries) ?? []);
  if (twice[0] !== undefined) return refuse(`cannot be used: ${twice[0].id} has two prices that begin on the same day`);
  return {
    version: `file-${version ?? contentHash(models).slice(0, STAMP_LENGTH)}`,
    prices: named.map(toOwnPrice).toSorted(byFit),
  };
}

/** The calendar would count a 30th of February as the second of March. */
function isDay(day: string): boolean {
  return new Date(dayStart(day)).toISOString().startsWith(day);
}

function secondOfDay(entries: readonly PriceFileModel[]): PriceFileModel | undefined {
  return entries.find((each, place) => entries.findIndex(({ validFrom }) => validFrom === each.validFrom) < place);
}

/** A whole name goes before the beginning of one, and what is longer before what is shorter: it says more of which model is meant. */
function byFit({ model: a }: OwnPrice, { model: b }: OwnPrice): number {
  return Number(a.match !== undefined) - Number(b.match !== undefined) || b.id.length - a.id.length;
}

function readJson(path: string, refuse: (problem: string) => never): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return refuse(`cannot be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    return refuse(`is no JSON: ${(error as Error).message}`);
  }
}

/** Entries of one model are its prices at different times. */
function toOwnPrice(entries: readonly PriceFileModel[]): OwnPrice {
  const [first] = entries as readonly [PriceFileModel];
  const { id } = first;
  const context = entries.find(({ contextTokensMax }) => contextTokensMax !== undefined)?.contextTokensMax;
  const colon = id.indexOf(':');
  const name = id.slice(colon + 1);
  const rows = entries.map(toRow).toSorted((a, b) => startOf(a) - startOf(b));
  const model: PricedModel = {
    id: name,
    ...(name.endsWith('*') ? { match: { starts_with: name.slice(0, -1) } } : {}),
    ...(context === undefined ? {} : { context }),
    rows,
  };
  return { provider: id.slice(0, colon), model };
}

function startOf({ validFrom }: PriceRow): number {
  return validFrom === undefined ? Number.NEGATIVE_INFINITY : dayStart(validFrom);
}

function toRow(entry: PriceFileModel): PriceRow {
  const { usdPerMillion, ceilingUsdPerMillion: ceiling = '0', tiers = [], usdPerRequest, usdPerWebSearch } = entry;
  const { batchPerMille } = entry;
  return {
    ...(entry.validFrom === undefined ? {} : { validFrom: entry.validFrom }),
    base: toPico(usdPerMillion ?? { input: ceiling, output: ceiling }),
    tiers: tiers.map(({ inputTokensAbove, usdPerMillion: prices }) => ({
      above: inputTokensAbove,
      prices: toPico(prices),
    })),
    ...(usdPerRequest === undefined ? {} : { perRequest: microUsd(usdPerRequest) * PICO_PER_MICRO }),
    ...(usdPerWebSearch === undefined ? {} : { perWebSearch: microUsd(usdPerWebSearch) * PICO_PER_MICRO }),
    ...(batchPerMille === undefined ? {} : { batchPerMille }),
    ...(usdPerMillion === undefined ? { isCeiling: true as const } : {}),
  };
}

const PICO_PER_MICRO = 1_000_000;

/** A micro-dollar per million tokens is a pico-dollar per token. */
function toPico(prices: { readonly [kind in keyof RowPrices]?: string | undefined }): RowPrices {
  return Object.fromEntries(
    Object.entries(prices).flatMap(([kind, usd]) => (usd === undefined ? [] : [[kind, microUsd(usd)]])),
  );
}

/** Turns USD as a decimal with up to six places into millionths, digit by digit. */
function microUsd(usd: string): number {
  const [whole = '0', decimals = ''] = usd.split('.');
  return Number(`${whole}${decimals.padEnd(6, '0')}`);
}
