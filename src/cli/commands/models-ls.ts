import type { Command } from 'commander';
import { isCeiling } from '../../domain/model/price.ts';
import { type ListedPrice, listPrices, PRICE_TABLE } from '../../domain/model/price-table.ts';
import { openPriceBook } from '../../runtime/price-book.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatTable } from '../format/table.ts';
import { formatCount, oneLine } from '../format/units.ts';
import { usdPerMillion } from '../models/price-view.ts';
import { suggest } from '../suggest.ts';

type ListedModel = {
  /** `provider:model`. */
  readonly id: string;
  readonly contextTokensMax: number | null;
  /** USD per million tokens, as decimals. */
  readonly input: string;
  readonly cacheRead: string;
  readonly cacheWrite: string;
  readonly output: string;
  /** Longer prompts cost more. */
  readonly hasTiers: boolean;
  /** It costs something else on other days, or at other hours. */
  readonly changes: boolean;
  readonly isCeiling: boolean;
  readonly version: string;
};

/** Adds `models ls`. */
export function addModelsLs(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'ls',
    summary: 'list the models whose price is known, in USD per million tokens',
    examples: ['perdure models ls', 'perdure models ls anthropic sonnet', 'perdure models ls --all qwen --json'],
  })
    .argument('[words...]', 'show only models whose id has all of these words in it')
    .option('--all', 'list the prices of other sellers too')
    .action((words: readonly string[], options: CommonOptions & { readonly all?: true }) => {
      const { cli } = context;
      const listed = listPrices(openPriceBook(cli.env), options.all === true ? 'all' : 'ours').map(toModel);
      const wanted = words.map((word) => word.toLowerCase());
      const models = listed.filter(({ id }) => wanted.every((word) => id.toLowerCase().includes(word)));
      printData(context, options, models, () => formatModels(models));
      const meant = models.length === 0 ? meantBy(words, listed) : null;
      if (meant !== null) cli.say(`did you mean ${meant}?`);
      cli.say(
        `${formatCount(models.length, 'model')} of ${listed.length}; ${PRICE_TABLE.version}, fetched ${PRICE_TABLE.fetchedAt}; USD per million tokens`,
      );
    });
}

/** Whoever looks for a model seldom knows its provider: a name alone is as good as an id. */
function meantBy(words: readonly string[], listed: readonly ListedModel[]): string | null {
  const ids = new Map(listed.flatMap(({ id }) => [[id, id] as const, [id.slice(id.indexOf(':') + 1), id] as const]));
  return ids.get(suggest(words.join(' '), [...ids.keys()]) ?? '') ?? null;
}

function toModel({ provider, name, found: { model, price } }: ListedPrice): ListedModel {
  return {
    id: `${provider}:${name}`,
    contextTokensMax: model.context ?? null,
    input: usdPerMillion(price.base.input),
    cacheRead: usdPerMillion(price.base.cacheRead),
    cacheWrite: usdPerMillion(price.base.cacheWrite),
    output: usdPerMillion(price.base.output),
    hasTiers: price.tiers.length > 0,
    changes: model.rows.length > 1,
    isCeiling: isCeiling(price),
    version: price.version,
  };
}

function formatModels(models: readonly ListedModel[]): string {
  return formatTable(
    [
      { heading: 'model' },
      { heading: 'context', align: 'right' },
      { heading: 'input', align: 'right' },
      { heading: 'cache read', align: 'right' },
      { heading: 'cache write', align: 'right' },
      { heading: 'output', align: 'right' },
      { heading: 'note' },
    ],
    models.map((model) => [
      oneLine(model.id),
      model.contextTokensMax?.toLocaleString('en-US') ?? '',
      model.input,
      model.cacheRead,
      model.cacheWrite,
      model.output,
      [
        ...(model.hasTiers ? ['more for long prompts'] : []),
        ...(model.changes ? ['changes with time'] : []),
        ...(Number(model.input) === 0 && Number(model.output) === 0 && !model.isCeiling ? ['free of charge'] : []),
        ...(model.version === PRICE_TABLE.version ? [] : [model.version]),
      ].join(', '),
    ]),
  );
}
