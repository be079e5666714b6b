import type { Command } from 'commander';
import { findModelPrice } from '../../activities/model/providers.ts';
import {
  type FoundPrice,
  isPriceProvider,
  listPrices,
  PRICE_TABLE,
  type PriceBook,
} from '../../domain/model/price-table.ts';
import type { Environment } from '../../runtime/config.ts';
import { SIMULATED } from '../models/examine-prices.ts';
import { openPriceBook } from '../../runtime/price-book.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { formatTable } from '../format/table.ts';
import { oneLine } from '../format/units.ts';
import { type PeriodView, type PriceView, type UsdPerMillion, viewPrice } from '../models/price-view.ts';
import { suggest } from '../suggest.ts';

/** Adds `models prices`. */
export function addModelsPrices(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'prices',
    summary: 'show all prices of models, with where they come from',
    examples: ['perdure models prices openai:gpt-5-mini', 'perdure models prices anthropic:claude-sonnet-4-5 --json'],
  })
    .argument('<models...>', 'ids of models, as provider:model')
    .action((ids: readonly string[], options: CommonOptions) => {
      const { env } = context.cli;
      const book = openPriceBook(env);
      const views = ids.map((id) => viewOf(id, env, book));
      printData(context, options, views, () => views.map(formatView).join('\n\n'));
    });
}

/** @throws CommandError for a model that nobody knows. */
function viewOf(id: string, env: Environment, book: PriceBook): PriceView {
  const colon = id.indexOf(':');
  const provider = id.slice(0, Math.max(0, colon));
  const name = id.slice(colon + 1);
  const isOwn = book.file?.prices.some((own) => own.provider === provider) === true;
  if (!isOwn && !isPriceProvider(provider)) {
    const meant = listPrices(book, 'ours').filter((each) => each.name === id);
    const hint = meant.map((each) => `${each.provider}:${id}`).join(', ');
    throw new CommandError(
      EXIT.notFound,
      `${JSON.stringify(id)} names no provider; write it as provider:model, such as ${hint || 'openai:gpt-5-mini'}`,
    );
  }
  if (name.trim() === '') {
    throw new CommandError(EXIT.notFound, `${JSON.stringify(id)} names no model; write it as provider:model`);
  }
  if (SIMULATED.has(provider)) {
    throw new CommandError(EXIT.notFound, `${JSON.stringify(id)} is simulated: nothing is charged for it`);
  }
  const found = findModelPrice({ env, prices: book }, provider, name);
  if (found !== null) return viewPrice(id, found, SOURCES[found.from]);
  const ids = listPrices(book, 'all').map((each) => `${each.provider}:${each.name}`);
  const meant = suggest(id, ids);
  throw new CommandError(
    EXIT.notFound,
    `the price of ${JSON.stringify(id)} is not known.${meant === null ? '' : ` Did you mean ${meant}?`} Write it into the file of PERDURE_PRICES_FILE, or set PERDURE_MODEL_CEILING_USD_PER_MTOK.`,
  );
}

const SOURCES: Readonly<Record<FoundPrice['from'], string>> = {
  file: 'PERDURE_PRICES_FILE',
  table: `${PRICE_TABLE.source}, fetched ${PRICE_TABLE.fetchedAt}`,
  ceiling: 'PERDURE_MODEL_CEILING_USD_PER_MTOK',
};

function formatView(view: PriceView): string {
  const { id, entry, now, periods, example, contextTokensMax: context, batchPerMille } = view;
  const facts = [
    ...(id.endsWith(`:${entry}`) ? [] : [`priced as ${entry}`]),
    ...(context === null ? [] : [`takes ${context.toLocaleString('en-US')} tokens`]),
    ...(view.isCeiling ? ['a ceiling: the price is not known'] : isFree(view) ? ['free of charge'] : []),
  ];
  return [
    `${oneLine(id)}${facts.length === 0 ? '' : ` (${facts.map(oneLine).join('; ')})`}`,
    ...(periods.length === 0 ? [] : ['now:']),
    formatPeriod(now),
    ...periods.map((period) => `${oneLine(titleOf(period))}\n${formatPeriod(period)}`),
    `batch: ${batchPerMille === 1000 ? 'no discount is known' : `${batchPerMille / 10} % of these`}`,
    `a call with ${example.inputTokens.toLocaleString('en-US')} tokens in and ${example.outputTokens} out: ${example.usd} USD${batchPerMille === 1000 ? '' : `, ${example.batchUsd} in the batch lane`}`,
    `${view.version}, from ${oneLine(view.source)}`,
  ].join('\n');
}

/** Null would be a price that is not known: a 0 is one that is. */
function isFree({ now: { usdPerMillion, usdPerRequest } }: PriceView): boolean {
  return usdPerRequest === null && Object.values(usdPerMillion).every((usd) => Number(usd) === 0);
}

function titleOf({ validFrom, hours, isCeiling }: PeriodView): string {
  const when = [...(validFrom === null ? [] : [`from ${validFrom} on`]), ...(hours === null ? [] : [hours])];
  return `${when.length === 0 ? 'otherwise' : when.join(', ')}${isCeiling ? ' (a ceiling)' : ''}:`;
}

/** Kinds as people call them, in the order of a bill. */
const KINDS: Readonly<Record<keyof UsdPerMillion, string>> = {
  input: 'input',
  cacheRead: 'cache read',
  cacheWrite: 'cache write',
  cacheWriteHour: 'cache write, kept 1 h',
  audioInput: 'audio input',
  audioCacheRead: 'audio cache read',
  imageInput: 'image input',
  imageCacheRead: 'image cache read',
  videoInput: 'video input',
  videoCacheRead: 'video cache read',
  output: 'output',
  reasoning: 'reasoning',
  audioOutput: 'audio output',
  imageOutput: 'image output',
  videoOutput: 'video output',
  citation: 'citations',
};

function formatPeriod(period: PriceView['now']): string {
  const { usdPerMillion, tiers, usdPerRequest, usdPerWebSearch } = period;
  const columns = [
    { heading: '  USD per million tokens' },
    { heading: tiers.length === 0 ? '' : 'base', align: 'right' as const },
    ...tiers.map(({ inputTokensAbove }) => ({
      heading: `input > ${inputTokensAbove.toLocaleString('en-US')}`,
      align: 'right' as const,
    })),
  ];
  const kinds = Object.entries(KINDS).filter(([kind]) => usdPerMillion[kind as keyof UsdPerMillion] !== undefined);
  const rows = kinds.map(([kind, name]) => [
    `  ${name}`,
    ...[usdPerMillion, ...tiers.map((tier) => tier.usdPerMillion)].map(
      (prices) => prices[kind as keyof UsdPerMillion] ?? '',
    ),
  ]);
  return [
    formatTable(columns, rows),
    ...(usdPerRequest === null ? [] : [`  each request: ${usdPerRequest} USD`]),
    ...(usdPerWebSearch === null ? [] : [`  each search of the provider's: ${usdPerWebSearch} USD`]),
  ].join('\n');
}
