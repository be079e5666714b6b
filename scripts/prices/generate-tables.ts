import packageJson from '../../package.json' with { type: 'json' };
import type { MatchRule } from '../../src/domain/model/match-rule.ts';
import type { PricedModel, PriceRow, RowPrices } from '../../src/domain/model/price-row.ts';
import type { TokenPrices } from '../../src/domain/model/price.ts';
import { type SourceExtractor, type SourceModel, type SourcePrices, readSource } from './read-source.ts';

/** Where the package has a kind's price, in USD per million tokens. */
const PRICE_KEYS: Readonly<Record<keyof TokenPrices, string>> = {
  input: 'input_mtok',
  output: 'output_mtok',
  cacheRead: 'cache_read_mtok',
  cacheWrite: 'cache_write_mtok',
  cacheWriteHour: 'cache_write_1h_mtok',
  reasoning: 'output_reasoning_mtok',
  audioInput: 'input_audio_mtok',
  audioCacheRead: 'cache_audio_read_mtok',
  audioOutput: 'output_audio_mtok',
  imageInput: 'input_image_mtok',
  imageCacheRead: 'cache_image_read_mtok',
  imageOutput: 'output_image_mtok',
  videoInput: 'input_video_mtok',
  videoCacheRead: 'cache_video_read_mtok',
  videoOutput: 'output_video_mtok',
  citation: 'output_citation_mtok',
};

/** Counts that say nothing of tokens: seconds of sound, pages, messages. A call with words alone has none. */
const OTHER_COUNTS = /(?:seconds|pages|messages)$/;

/** The version of the package that is installed. */
export const SOURCE_VERSION = `genai-prices-${packageJson.devDependencies['@pydantic/genai-prices']}`;

/** Makes the generated files. `day` is when the data was fetched: `2026-03-13`. */
export async function generateTables(
  day: string,
): Promise<readonly { readonly file: string; readonly text: string }[]> {
  const providers = await readSource();
  const head = { source: '@pydantic/genai-prices (MIT)', version: SOURCE_VERSION, fetchedAt: day };
  const priced = providers.map(({ id, name, fallback_model_providers: fallback, models }) => ({
    id,
    name,
    ...(fallback === undefined ? {} : { fallback }),
    models: models.map((model) => toPricedModel(id, model)),
  }));
  return [
    { file: 'prices.generated.json', text: writePrices(head, priced) },
    { file: 'usage-extractors.generated.json', text: writeExtractors(providers) },
  ];
}

type Priced = { readonly id: string; readonly name: string; readonly models: readonly PricedModel[] };

/** One line a model, so that a change of prices can be read as one. */
function writePrices(head: object, providers: readonly Priced[]): string {
  const blocks = providers.map(({ models, ...provider }) => {
    const lines = models.map((model) => `  ${JSON.stringify(model)}`).join(',\n');
    return `{${JSON.stringify(provider).slice(1, -1)},"models":[\n${lines}\n]}`;
  });
  return `{${JSON.stringify(head).slice(1, -1)},"providers":[\n${blocks.join(',\n')}\n]}\n`;
}

function writeExtractors(
  providers: readonly { readonly id: string; readonly extractors?: readonly SourceExtractor[] }[],
): string {
  const lines = providers.flatMap(({ id, extractors = [] }) =>
    extractors.flatMap(({ api_flavor: api, root, mappings }) => {
      const counts = mappings.filter(({ dest }) => !OTHER_COUNTS.test(dest));
      const reads = counts.map(({ path, dest, required }) => ({
        path:
          typeof path === 'string' ? [path] : path.map((step) => (typeof step === 'string' ? step : plainStep(step))),
        to: dest,
        ...(required ? { required } : {}),
      }));
      const extractor = { provider: id, api, root: typeof root === 'string' ? [root] : root, reads };
      return reads.length === 0 ? [] : [JSON.stringify(extractor)];
    }),
  );
  return `[\n${lines.join(',\n')}\n]\n`;
}

function plainStep({ field, match }: { readonly field: string; readonly match: MatchRule }) {
  return { field, match };
}

/** A model without a price for tokens stays in its list, without rows: no other entry may be taken for it. */
function toPricedModel(provider: string, source: SourceModel): PricedModel {
  const { id, match, context_window: context, prices } = source;
  const conditional = Array.isArray(prices) ? prices : [{ prices }];
  const rows = conditional.flatMap(({ constraint, prices: each }): readonly PriceRow[] => {
    const row = isFree(provider, source, each) ? FREE : toRow(id, each);
    if (row === null) return [];
    if (constraint === undefined) return [row];
    return constraint.type === 'start_date'
      ? [{ validFrom: constraint.start_date, ...row }]
      : [{ hours: [secondOf(constraint.start_time), secondOf(constraint.end_time)], ...row }];
  });
  const isOwnName = 'equals' in match && match.equals.toLowerCase() === id.toLowerCase();
  return { id, ...(isOwnName ? {} : { match }), ...(context === undefined ? {} : { context }), rows };
}

const FREE: PriceRow = { base: { input: 0, output: 0 } };

/** Models of which the package says nothing, and their seller that they are free of charge: ai.google.dev/gemini-api/docs/pricing. */
const FREE_MODELS: ReadonlySet<string> = new Set(['google gemma-3', 'google gemma-3n']);

/** The package writes no price both for what is free and for what it does not know. Only what is said to be free costs 0. */
function isFree(provider: string, { id, price_comments: comments = '' }: SourceModel, prices: SourcePrices): boolean {
  if (Object.keys(prices).length > 0) return false;
  return (
    id.endsWith(':free') || /free of charge|zero token cost/i.test(comments) || FREE_MODELS.has(`${provider} ${id}`)
  );
}

/** Null for what is not priced by tokens, and for models whose price the package does not know. */
function toRow(id: string, prices: SourcePrices): PriceRow | null {
  if (prices['input_mtok'] === undefined && prices['output_mtok'] === undefined) return null;
  const starts = Object.values(prices).flatMap((price) =>
    typeof price === 'object' ? price.tiers.map(({ start }) => start) : [],
  );
  const tiers = [...new Set(starts)]
    .toSorted((a, b) => a - b)
    .map((above) => ({ above, prices: pricesAbove(id, prices, above) }));
  const perRequest = perUnit(prices['requests_kcount']);
  const perWebSearch = perUnit(prices['web_searches_kcount']);
  return {
    base: pricesAbove(id, prices, -1),
    ...(tiers.length === 0 ? {} : { tiers }),
    ...(perRequest === undefined ? {} : { perRequest }),
    ...(perWebSearch === undefined ? {} : { perWebSearch }),
  };
}

/** Gives every price as it is for calls with more than `above` tokens of input. */
function pricesAbove(id: string, prices: SourcePrices, above: number): RowPrices {
  const found = Object.entries(PRICE_KEYS).flatMap(([kind, key]): readonly (readonly [string, number])[] => {
    const price = prices[key];
    if (price === undefined) return [];
    if (typeof price === 'number') return [[kind, picoPerToken(price)]];
    const tier = price.tiers.toSorted((a, b) => a.start - b.start).findLast(({ start }) => start <= above);
    return [[kind, picoPerToken(tier?.price ?? price.base)]];
  });
  const row: RowPrices = Object.fromEntries(found);
  return { ...row, ...hourOfClaude(id, row) };
}

/**
 * Anthropic charges twice the input for what the cache keeps for an hour, wherever its models are sold; the package knows it of Anthropic's
 * own list alone.
 */
function hourOfClaude(id: string, { input, cacheWrite, cacheWriteHour }: RowPrices): RowPrices {
  const isMissing = id.includes('claude') && cacheWrite !== undefined && cacheWriteHour === undefined;
  return isMissing && input !== undefined ? { cacheWriteHour: input * 2 } : {};
}

/** One USD per million tokens is 1,000,000 pico-dollars a token. What is finer than that is rounded up, unless it is only a float's noise. */
function picoPerToken(usdPerMillion: number): number {
  const pico = usdPerMillion * 1e6;
  const nearest = Math.round(pico);
  return Math.abs(pico - nearest) < 1e-6 ? nearest : Math.ceil(pico);
}

/** USD per thousand to pico-dollars each. */
function perUnit(usdPerThousand: SourcePrices[string]): number | undefined {
  return typeof usdPerThousand === 'number' ? Math.round(usdPerThousand * 1e9) : undefined;
}

function secondOf(time: string): number {
  const [, hours, minutes, seconds] = /^(\d{2}):(\d{2}):(\d{2})Z$/.exec(time) ?? [];
  if (seconds === undefined) throw new Error(`expected a time of the day in UTC such as 16:30:00Z, got ${time}`);
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}
