import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Tier, TIERS } from '../../domain/model/model-policy.ts';
import { picoFromUsd } from '../../domain/model/price.ts';
import type { TextInput } from '../../client/index.ts';
import type { Cli } from '../cli.ts';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { findAgent, loadOwnAgents } from '../find-agent.ts';
import { runLink } from '../find-servers.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { followToEnd } from '../follow-to-end.ts';
import { spellCommand } from '../spell-command.ts';
import { readAttachment } from '../read-attachment.ts';

type Options = CommonOptions & {
  readonly inputFile?: string;
  readonly tenant?: string;
  readonly subject?: string;
  readonly key?: string;
  readonly as?: string;
  readonly limitUsd?: number;
  readonly tier?: Tier;
  readonly whenExhausted: 'end' | 'wait';
  readonly follow?: boolean;
  readonly conversation?: boolean;
  readonly attach: readonly string[];
};

/** Adds `run start`. */
export function addRunStart(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'start',
    summary: 'start a run of an agent, and print its id',
    examples: [
      'perdure run start support "Where is my order A-1090? I am Liam Murphy."',
      'perdure run start support --input-file letter.txt --key letter-17 --follow',
      'perdure run start support "My lamp A-1090 looks like this. I am Liam Murphy." --attach lamp.png',
      'echo "Where is my order A-1090? I am Liam Murphy." | perdure run start support --input-file -',
    ],
  })
    .argument('<agent>', 'name of an agent in ./agents')
    .argument('[input]', 'what the agent is asked')
    .option('--input-file <file>', 'read the input from a file in UTF-8; - is stdin')
    .option('--tenant <tenant>', 'tenant of the run (default: "default")')
    .option('--subject <id>', 'whom the run is about; default: the run itself')
    .option('--key <key>', 'start key: the same key gives the same run (default: random)')
    .option('--as <principal>', `who starts it (default: ${context.cli.account})`)
    .option('--limit-usd <usd>', 'spend at most this; only lower limits than the agent’s count', parseUsd)
    .addOption(
      new Option('--tier <tier>', 'which of the agent’s models answers; default: the one it uses').choices([...TIERS]),
    )
    .addOption(
      new Option('--when-exhausted <what>', 'at the end of a budget: end with what there is, or wait for a top-up')
        .choices(['end', 'wait'])
        .default('end'),
    )
    .option('--follow', 'show what the run does, wait for its end and print the answer')
    .option('--attach <file>', 'send an image or a PDF along; may be given again', collect, [])
    .option('--conversation', 'wait for the next message after each answer')
    .action(async (agent: string, input: string | undefined, options: Options) => {
      const { cli } = context;
      findAgent(await loadOwnAgents(cli), agent);
      const text = await readInput(cli, input, options.inputFile);
      await withRuns(cli, (runs) => start(context, runs, { agent, text, options }));
    });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** Reads an amount of money that a person typed. */
export function parseUsd(text: string): number {
  const usd = Number(text);
  if (text.trim() !== '' && usd > 0 && usd <= 100_000 && picoFromUsd(usd) > 0n) return usd;
  throw new InvalidArgumentError('It must be an amount above 0 in USD, for example 0.05.');
}

async function start(
  context: CommandContext,
  runs: OpenRuns,
  { agent, text, options }: { readonly agent: string; readonly text: TextInput; readonly options: Options },
): Promise<void> {
  const { cli } = context;
  const { tenant, subject, key, as, limitUsd, conversation, follow, attach, tier, whenExhausted } = options;
  const attachments = await Promise.all(attach.map((path) => readAttachment(cli, path)));
  const handle = await runs.client.start({
    agent,
    input: text,
    attachments,
    whenExhausted,
    ...(tenant === undefined ? {} : { tenant }),
    ...(subject === undefined ? {} : { subject }),
    ...(key === undefined ? {} : { startKey: key }),
    ...(as === undefined ? {} : { principal: as }),
    ...(limitUsd === undefined ? {} : { limits: { costPico: String(picoFromUsd(limitUsd)) } }),
    ...(tier === undefined ? {} : { tier }),
    ...(conversation === true ? { kind: 'conversation' as const } : {}),
  });
  if (follow === true) {
    cli.say(`run ${handle.id}`);
    endWith(context, await followToEnd(context, runs, handle, options));
    return;
  }
  const webUi = runLink(runs.temporal, handle.id);
  printData(context, options, { id: handle.id, webUi }, () => handle.id);
  cli.say(`started. Follow it: ${spellCommand(`run tail ${handle.id}`)}`);
}

/** Reads what an agent is asked, from the command line, a file or stdin. */
export async function readInput(cli: Cli, input: string | undefined, file: string | undefined): Promise<TextInput> {
  if ((input === undefined) === (file === undefined)) {
    throw new CommandError(EXIT.usage, 'give the input as an argument or with --input-file, one of them');
  }
  if (input !== undefined) return input;
  if (file === '-') return cli.readStdin();
  return readFile(resolve(cli.cwd, file ?? '')).catch((error: unknown) => {
    throw new CommandError(EXIT.usage, `--input-file cannot be read: ${(error as Error).message}`, { cause: error });
  });
}
