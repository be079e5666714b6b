import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { configuredProviders, type Trial, tryModel, tryProvider } from '../../activities/model/try-model.ts';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { EXIT } from '../exit.ts';
import { formatTable } from '../format/table.ts';
import { formatCount, formatDuration, oneLine } from '../format/units.ts';
import { usablePriceBook } from '../models/examine-prices.ts';
import { spellCommand } from '../spell-command.ts';

type Options = CommonOptions & { readonly model?: string; readonly answer?: boolean };

/** Adds `models test`. */
export function addModelsTest(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'test',
    summary: 'make one small real call of each provider that has a key or an address here, and say what works',
    examples: ['perdure models test', 'perdure models test --model anthropic:claude-haiku-4-5 --json'],
  })
    .option('--model <id>', 'only this model, as provider:model')
    .option('--answer', 'give the model the result of its tool call as well, in a second call of each provider')
    .action(async (options: Options) => {
      const { cli } = context;
      const { env } = cli;
      const settings = { env, readFile: readText, prices: usablePriceBook(env), withAnswer: options.answer === true };
      const trials =
        options.model === undefined
          ? await Promise.all(configuredProviders(env).map(async (provider) => tryProvider(settings, provider)))
          : [await tryModel(settings, options.model)];
      if (trials.length === 0)
        cli.say('no provider has a key or an address here; docs/configuration.md lists the variables');
      if (trials.length > 0 || options.json === true) printData(context, options, trials, () => formatTrials(trials));
      const failures = trials.filter((trial) => !isGood(trial)).length;
      if (failures === 0) return;
      cli.say(`${formatCount(failures, 'provider')} of ${trials.length} cannot be used as agents need it`);
      endWith(context, EXIT.failed);
    });
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Agents need tool calls, and answers to their results where that was tried. A server that does not stream, or says no usage, is a worse one and works. */
function isGood({ error, toolCall, answered }: Trial): boolean {
  return error === null && toolCall && answered !== false;
}

function formatTrials(trials: readonly Trial[]): string {
  const withAnswer = trials.some(({ answered }) => answered !== null);
  const table = formatTable(
    [
      { heading: 'provider' },
      { heading: 'reached' },
      { heading: 'key' },
      { heading: 'stream' },
      { heading: 'tool call' },
      ...(withAnswer ? [{ heading: 'answer' }] : []),
      { heading: 'usage' },
      { heading: 'price' },
      { heading: 'cost', align: 'right' as const },
      { heading: 'time', align: 'right' as const },
      { heading: 'model' },
    ],
    trials.map((trial) => [
      trial.provider,
      formatSeen(trial.reachable),
      formatSeen(trial.authenticated),
      formatSeen(trial.streamed),
      formatSeen(trial.toolCall),
      ...(withAnswer ? [formatSeen(trial.answered)] : []),
      trial.usage === null ? 'no' : `${trial.usage.inputTokens}+${trial.usage.outputTokens}`,
      trial.price ?? '',
      trial.costUsd === null ? '' : `${trial.costUsd} USD`,
      trial.latencyMs === null ? '' : formatDuration(trial.latencyMs),
      oneLine(trial.model ?? ''),
    ]),
  );
  return [table, ...trials.flatMap(formatTrouble)].join('\n');
}

function formatSeen(seen: boolean | null): string {
  if (seen === null) return '-';
  return seen ? 'yes' : 'no';
}

function formatTrouble({ provider, error, toolCall, answered, price }: Trial): readonly string[] {
  if (error !== null) {
    const line = `${provider}: ${error.cause}: ${oneLine(error.message)}`;
    return error.mend === null ? [line] : [line, `  → ${oneLine(error.mend)}`];
  }
  return [
    ...(toolCall ? [] : [`${provider}: it answered and did not call the tool; name a model that does with --model`]),
    ...(answered === false ? [`${provider}: it did not answer to the result of its tool call`] : []),
    ...(price === 'none'
      ? [
          `${provider}: its model has no price, so runs of it are refused; ${spellCommand('models check')} says what to do`,
        ]
      : []),
  ];
}
