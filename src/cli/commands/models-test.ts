import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { configuredProviders, type Trial, tryModel, tryProvider } from '../../activities/model/try-model.ts';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { EXIT } from '../exit.ts';
import { formatTable } from '../format/table.ts';
import { formatCount, formatDuration, oneLine } from '../format/units.ts';

type Options = CommonOptions & { readonly model?: string };

/** Adds `models test`. */
export function addModelsTest(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'test',
    summary: 'make two small real calls of each provider that has a key or an address here, and say what works',
    examples: ['perdure models test', 'perdure models test --model anthropic:claude-haiku-4-5 --json'],
  })
    .option('--model <id>', 'only this model, as provider:model')
    .action(async (options: Options) => {
      const { cli } = context;
      const { env } = cli;
      const settings = { env, readFile: (path: string) => readFileSync(path, 'utf8') };
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

/** Agents need words and tool calls. A server that does not stream, or says no usage, is a worse one and works. */
function isGood({ error, text, toolCall }: Trial): boolean {
  return error === null && text && toolCall;
}

function formatTrials(trials: readonly Trial[]): string {
  const table = formatTable(
    [
      { heading: 'provider' },
      { heading: 'text' },
      { heading: 'tool call' },
      { heading: 'stream' },
      { heading: 'usage' },
      { heading: 'latency', align: 'right' },
      { heading: 'model' },
    ],
    trials.map((trial) => [
      trial.provider,
      formatAnswer(trial.text),
      formatAnswer(trial.toolCall),
      formatAnswer(trial.streamed),
      trial.usage === null ? 'no' : `${trial.usage.inputTokens}+${trial.usage.outputTokens}`,
      trial.latencyMs === null ? '' : formatDuration(trial.latencyMs),
      trial.model ?? '',
    ]),
  );
  return [table, ...trials.flatMap(formatError)].join('\n');
}

function formatAnswer(works: boolean): string {
  return works ? 'yes' : 'no';
}

function formatError({ provider, error }: Trial): readonly string[] {
  if (error === null) return [];
  const line = `${provider}: ${error.cause}: ${oneLine(error.message)}`;
  return error.mend === null ? [line] : [line, `  → ${oneLine(error.mend)}`];
}
