import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { JsonValue } from '../../domain/json.ts';
import type { DeferredResult } from '../../domain/run/message.ts';
import type { Cli } from '../cli.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { withRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';

type Options = CommonOptions & {
  readonly output?: string;
  readonly outputFile?: string;
  readonly error?: string;
  readonly as?: string;
  readonly key?: string;
};

/** Adds `tool complete`. */
export function addToolComplete(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'complete',
    summary: 'give a tool call that waits its result',
    examples: [
      `perdure tool complete TOKEN --output '{"priceUsd":120}'`,
      'perdure tool complete TOKEN --output-file quote.json',
      'perdure tool complete TOKEN --error "The supplier has closed."',
    ],
  })
    .argument('<token>', `token of the call, from ${spellCommand('tool ls')}`)
    .option('--output <json>', 'the result, as JSON in the shape of the tool’s output')
    .option('--output-file <file>', 'read the result from a file with JSON; - is stdin')
    .option('--error <text>', 'there is no result; the model reads why')
    .option('--as <principal>', `who gives it (default: ${context.cli.account})`)
    .option('--key <key>', 'key of the message: the same key is applied once (default: made of token and result)')
    .action(async (token: string, options: Options) => {
      const result = await readResult(context.cli, options);
      const { key, as } = options;
      const sent = { ...(key === undefined ? {} : { key }), ...(as === undefined ? {} : { principal: as }) };
      const receipt = await withRuns(context.cli, ({ client }) => client.completeTool(token, result, sent));
      printData(context, options, { token, ...receipt }, () => receipt.result);
      if (receipt.result === 'sent') {
        context.cli.say('no worker answered; the result is recorded and holds when one is back');
      }
    });
}

async function readResult(cli: Cli, { output, outputFile, error }: Options): Promise<DeferredResult> {
  const given = [output, outputFile, error].filter((each) => each !== undefined);
  if (given.length !== 1) {
    throw new CommandError(EXIT.usage, 'say one of --output <json>, --output-file <file>, --error <text>');
  }
  if (error !== undefined) return { error };
  if (output !== undefined) return { output: parseJson('--output', output) };
  return { output: parseJson('--output-file', await readText(cli, outputFile ?? '-')) };
}

async function readText(cli: Cli, file: string): Promise<string> {
  if (file === '-') return (await cli.readStdin()).toString('utf8');
  return readFile(resolve(cli.cwd, file), 'utf8').catch((error: unknown) => {
    throw new CommandError(EXIT.usage, `--output-file cannot be read: ${(error as Error).message}`, { cause: error });
  });
}

function parseJson(option: string, text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new CommandError(EXIT.usage, `${option} must be JSON: ${(error as Error).message}`, { cause: error });
  }
}
