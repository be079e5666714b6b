import { batchPerMilleOf } from './batch-prices.ts';
import { dayStart } from './calendar.ts';
import { literalOf, matches } from './match-rule.ts';
import { type PricedModel, rowAt, toModelPrice } from './price-row.ts';
import type { ModelPrice } from './price.ts';
import generated from './prices.generated.json' with { type: 'json' };

/** A provider's list in the table. */
export type ProviderPrices = {
  readonly id: string;
  readonly name: string;
  /** Providers whose lists hold for models that are not in this one. */
  readonly fallback?: readonly string[];
  readonly models: readonly PricedModel[];
};

/** The table that is checked in. `npm run generate:prices` writes it. */
export type PriceTable = {
  readonly source: string;
  readonly version: string;
  /** Day on which the data was fetched: `2026-03-13`. */
  readonly fetchedAt: string;
  readonly providers: readonly ProviderPrices[];
};

/** A model whose price a person has written down. */
export type OwnPrice = {
  /** Provider as in ids of models: the part before the colon. */
  readonly provider: string;
  readonly model: PricedModel;
};

/** Prices that a person has written down, which go before the table. Of those that are for a name, the first that holds counts. */
export type PriceFile = { readonly version: string; readonly prices: readonly OwnPrice[] };

/** Where prices are looked up. */
export type PriceBook = {
  readonly file: PriceFile | null;
  /** The present, in milliseconds since 1970: prices change at dates and hours. */
  readonly now: () => number;
};

/** A price with where it was found. */
export type FoundPrice = {
  readonly price: ModelPrice;
  readonly model: PricedModel;
  /** `file`: a person's. `ceiling`: what any model without a price costs at most here. */
  readonly from: 'file' | 'table' | 'ceiling';
};

/** The generated table. The compiler would otherwise have a type of its own for each of its rows. */
export const PRICE_TABLE = generated as unknown as PriceTable;

/** Without a file and without a clock: as things were when the table was fetched. */
export const BUILT_IN_PRICES: PriceBook = { file: null, now: () => dayStart(PRICE_TABLE.fetchedAt) };

/** Lists of the table by our names of providers. Other names are the table's own. */
const LISTS: Readonly<Record<string, string>> = {
  'openai-responses': 'openai',
  'openai-compatible': 'openai',
  xai: 'x-ai',
  bedrock: 'aws',
};

/** Providers that nobody pays by the token. */
const UNPRICED: ReadonlySet<string> = new Set(['ollama', 'vllm', 'lmstudio', 'rehearsal', 'scripted', 'recorded']);

/** What rehearsals and scripts cost, as a simulation: a run with a real model of that size costs about the same. */
const SIMULATED_AS = { provider: 'openai', model: 'gpt-5-mini' };

/**
 * Finds the price of a model. Null when nobody knows it: it is never 0 for that.
 *
 * @param provider The part of a model's id before the colon.
 * @param model The part after it, as the provider has it, with or without a date at its end.
 */
export function priceOfModel(provider: string, model: string, book: PriceBook = BUILT_IN_PRICES): ModelPrice | null {
  return findPrice(provider, model, book)?.price ?? null;
}

/** Finds the price of a model, and where it comes from: a person's file, or the table. */
export function findPrice(provider: string, model: string, book: PriceBook): FoundPrice | null {
  const names = spellings(model);
  const own = findOwn(book, provider, names);
  if (own !== null) return own;
  if (UNPRICED.has(provider)) return null;
  const list = listOf(provider);
  for (const name of names) {
    const listed = findListed(list, name);
    if (listed !== undefined) return tablePrice(book, list, listed);
  }
  return null;
}

/** Null also where the prices of the file begin later. */
function findOwn(book: PriceBook, provider: string, names: readonly string[]): FoundPrice | null {
  for (const own of book.file?.prices ?? []) {
    const isAsked = own.provider === provider && names.some((name) => isFor(own.model, name));
    const found = isAsked ? ownPrice(book, own) : null;
    if (found !== null) return found;
  }
  return null;
}

function ownPrice({ file, now }: PriceBook, { provider, model }: OwnPrice): FoundPrice | null {
  const row = rowAt(model.rows, now());
  if (row === null) return null;
  // Of the batch lane of a server of one's own nobody knows.
  const batch = batchPerMilleOf(provider === 'openai-compatible' ? '' : listOf(provider));
  return { price: toModelPrice(row, batch, file?.version ?? ''), model, from: 'file' };
}

/** Where no price of a list holds yet, its first one is taken. */
function tablePrice({ now }: PriceBook, list: string, model: PricedModel): FoundPrice | null {
  const row = rowAt(model.rows, now()) ?? model.rows[0];
  if (row === undefined) return null;
  return { price: toModelPrice(row, batchPerMilleOf(list), PRICE_TABLE.version), model, from: 'table' };
}

/** Names the list of a provider: our names of providers are not all the table's. */
export function listOf(provider: string): string {
  return Object.hasOwn(LISTS, provider) ? (LISTS[provider] ?? provider) : provider;
}

/** A model that has a price, with the name by which its provider is known here. */
export type ListedPrice = {
  readonly provider: string;
  /** A name that it can be called by. */
  readonly name: string;
  readonly found: FoundPrice;
};

/** Lists what has a price, a person's first: of our providers, or of every list. */
export function listPrices(book: PriceBook, scope: 'ours' | 'all'): readonly ListedPrice[] {
  const own = (book.file?.prices ?? []).map((each) => ({ provider: each.provider, found: ownPrice(book, each) }));
  const listed = PRICE_TABLE.providers
    .filter(({ id }) => scope === 'all' || OUR_LISTS.has(id))
    .flatMap(({ id, models }) => models.map((model) => ({ provider: ourName(id), list: id, model })))
    .filter(({ provider, model }) => findOwn(book, provider, spellings(nameOf(model))) === null)
    .map(({ provider, list, model }) => ({ provider, found: tablePrice(book, list, model) }));
  return [...own, ...listed].flatMap(({ provider, found }) =>
    found === null ? [] : [{ provider, name: nameOf(found.model), found }],
  );
}

/** Providers of the table that a model's id can name. */
const OUR_LISTS: ReadonlySet<string> = new Set([
  'openai',
  'anthropic',
  'google',
  'mistral',
  'groq',
  'deepseek',
  'x-ai',
  'aws',
  'azure',
]);

function ourName(list: string): string {
  return Object.entries(LISTS).find(([name, id]) => id === list && !name.startsWith('openai-'))?.[0] ?? list;
}

/** Tells whether a word can be the provider of a model's id that has a price. */
export function isPriceProvider(word: string): boolean {
  return Object.hasOwn(LISTS, word) || UNPRICED.has(word) || PRICE_TABLE.providers.some(({ id }) => id === word);
}

/** Looks through a list, and then through those that hold where it is silent. The first entry that is for a name counts. */
function findListed(list: string, name: string): PricedModel | undefined {
  const own = PRICE_TABLE.providers.find(({ id }) => id === list);
  for (const each of [list, ...(own?.fallback ?? [])]) {
    const provider = PRICE_TABLE.providers.find(({ id }) => id === each);
    const model = provider?.models.find((candidate) => isFor(candidate, name));
    if (model !== undefined) return model;
  }
  return undefined;
}

/** Some entries stand under an id that nobody can call, as `regional.…` for a model in its region; then the first name of their rule can be. */
function nameOf({ id, match }: PricedModel): string {
  const name = id.replace(/^regional\./, '');
  return match === undefined || matches(match, name.toLowerCase()) ? name : (literalOf(match) ?? id);
}

function isFor({ id, match }: PricedModel, name: string): boolean {
  return matches(match ?? { equals: id }, name);
}

/** Google also takes a model's name as that of a resource. */
const RESOURCE = /^(?:publishers\/google\/)?models\//;

/** A date may be written with or without dashes, and a model of a day costs what the model costs, unless a list knows better. */
function spellings(model: string): readonly string[] {
  const name = model.toLowerCase().trim().replace(RESOURCE, '');
  if (name === '') return [];
  const dashed = name.replace(/-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g, '-$1-$2-$3');
  return [...new Set([name, dashed, dashed.replace(/-\d{4}-\d{2}-\d{2}$/, '')])];
}

/** Prices what a simulated model would have cost. */
export function simulatedPrice(): ModelPrice {
  const price = priceOfModel(SIMULATED_AS.provider, SIMULATED_AS.model) as ModelPrice;
  return { ...price, version: `simulated-${price.version}` };
}

/** Prices every kind of token alike: the most that a person says a model without a price costs, in USD per million tokens. */
export function ceilingPrice(usdPerMillion: number): ModelPrice {
  const each = Math.round(usdPerMillion * 1e6);
  return toModelPrice({ base: { input: each, output: each }, isCeiling: true }, 1000n, String(usdPerMillion));
}
