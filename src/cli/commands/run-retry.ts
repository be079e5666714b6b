import { type Command, InvalidArgumentError } from 'commander';
import { InvalidInput, type RetryOptions } from '../../client/index.ts';
import { picoFromUsd } from '../../domain/model/price.ts';
import type { RunRecord } from '../../domain/schemas/run-records.ts';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { addRunArgument, findRunTenant } from '../find-run.ts';
import { runLink } from '../find-servers.ts';
import { followToEnd } from '../follow-to-end.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { parseUsd } from './run-start.ts';
import { spellCommand } from '../spell-command.ts';

type Options = CommonOptions & {
  readonly fromTurn?: number;
  readonly tenant?: string;
  readonly key?: string;
  readonly as?: string;
  readonly limitUsd?: number;
  readonly follow?: boolean;
};

const ID = '0aB1cD2eF3gH4iJ5kL6mN7';

/** Adds `run retry`: a living run tries again what it waits for, one that has ended is taken up by another. */
export function addRunRetry(parent: Command, context: CommandContext): void {
  const command = addCommand(parent, {
    name: 'retry',
    summary: 'try at once what a blocked run waits for, or take up a run that has ended',
    examples: [`perdure run retry ${ID}`, `perdure run retry ${ID} --from-turn 3 --follow`],
  });
  addRunArgument(command)
    .option(
      '--from-turn <turn>',
      'ask the model anew from this turn on (default: go on where the run stopped)',
      parseTurn,
    )
    .option('--tenant <tenant>', 'tenant of the run (default: found by its id)')
    .option('--key <key>', 'the same key is applied once, or gives the same successor (default: random)')
    .option('--as <principal>', `who retries (default: ${context.cli.account})`)
    .option(
      '--limit-usd <usd>',
      'the successor spends at most this; only lower limits than the agent’s count',
      parseUsd,
    )
    .option('--follow', 'show what the successor does, wait for its end and print the answer')
    .action(async (id: string, options: Options) => {
      await withRuns(context.cli, async (runs) => {
        const record = await findRecord(runs, id, options);
        if (record === null || record.end === null) await sayRetry(context, runs, { id, record, options });
        else await takeUp(context, runs, { record, options });
      });
    });
}

/** Finds the row of a run; null when it was started and not yet admitted. */
async function findRecord({ reader, ...runs }: OpenRuns, id: string, { tenant }: Options): Promise<RunRecord | null> {
  const owner = tenant ?? (await findRunTenant({ reader, ...runs }, id));
  const record = owner === null ? null : await reader.run(owner, id);
  if (record !== null || tenant === undefined) return record;
  throw new CommandError(
    EXIT.notFound,
    `there is no run ${id} in tenant ${tenant}; ${spellCommand('run ls')} lists the newest`,
  );
}

async function sayRetry(
  context: CommandContext,
  { client }: OpenRuns,
  { id, record, options }: { readonly id: string; readonly record: RunRecord | null; readonly options: Options },
): Promise<void> {
  const { fromTurn, limitUsd, follow, key, as } = options;
  const only = Object.entries({ '--from-turn': fromTurn, '--limit-usd': limitUsd, '--follow': follow });
  const [given] = only.flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (given !== undefined) {
    const standing = record?.phase ?? 'not admitted yet';
    throw new InvalidInput(
      `run ${id} is ${standing}; ${given} is for runs that have ended. End it first: ${spellCommand(`run stop ${id}`)}`,
    );
  }
  const { result } = await client.run(id, record === null ? {} : { tenant: record.tenant }).retry({
    ...(key === undefined ? {} : { key }),
    ...(as === undefined ? {} : { principal: as }),
  });
  printData(context, options, { id, result }, () => result);
  if (result === 'sent')
    context.cli.say(`the run takes it when a worker comes to it; ${spellCommand(`run show ${id}`)} says how it stands`);
}

async function takeUp(
  context: CommandContext,
  runs: OpenRuns,
  { record, options }: { readonly record: RunRecord; readonly options: Options },
): Promise<void> {
  const { cli } = context;
  const { id, tenant, turns } = record;
  const handle = await runs.client.retry(id, { tenant, ...retryOptions(options) });
  const fromTurn = options.fromTurn ?? turns + 1;
  await sayWhatStays(context, runs, record, fromTurn);
  if (options.follow === true) {
    cli.say(`run ${handle.id}`);
    endWith(context, await followToEnd(context, runs, handle, options));
    return;
  }
  const webUi = runLink(runs.temporal, handle.id);
  printData(context, options, { id: handle.id, retryOf: id, fromTurn, webUi }, () => handle.id);
  cli.say(`takes up run ${id} from turn ${fromTurn}. Follow it: ${spellCommand(`run tail ${handle.id}`)}`);
}

function retryOptions({ fromTurn, key, as, limitUsd }: Options): RetryOptions {
  return {
    ...(fromTurn === undefined ? {} : { fromTurn }),
    ...(key === undefined ? {} : { key }),
    ...(as === undefined ? {} : { principal: as }),
    ...(limitUsd === undefined ? {} : { limits: { costPico: String(picoFromUsd(limitUsd)) } }),
  };
}

/** Turns that are made anew do not undo what the earlier ones changed outside: a model that decides otherwise may do it once more. */
async function sayWhatStays(
  { cli }: CommandContext,
  { reader }: OpenRuns,
  { id, tenant }: RunRecord,
  fromTurn: number,
): Promise<void> {
  const effects = await reader.effects(tenant, { agentRunId: id });
  const stay = effects.filter(({ turn, state }) => turn >= fromTurn && state === 'succeeded');
  if (stay.length === 0) return;
  const list = stay.map(({ tool, turn }) => `${tool} (turn ${turn})`).join(', ');
  cli.say(
    `these writes were made and stay: ${list}. The same call at the same place is not made again, another one is`,
  );
}

function parseTurn(text: string): number {
  const turn = Number(text);
  if (Number.isSafeInteger(turn) && turn >= 1) return turn;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
