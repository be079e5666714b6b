import { type Command, InvalidArgumentError } from 'commander';
import type { MessageOptions, RunHandle, SendReceipt } from '../../client/index.ts';
import { picoFromUsd } from '../../domain/model/price.ts';
import type { TopUp } from '../../domain/run/message.ts';
import { addCommand, type CommandContext, type CommandSpec, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { addRunArgument, findRunTenant } from '../find-run.ts';
import { formatOutcome } from '../format/run.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';
import { parseUsd } from './run-start.ts';

type SendOptions = CommonOptions & { readonly key?: string; readonly as?: string };

const ID = '0aB1cD2eF3gH4iJ5kL6mN7';

/** Adds the commands that say something to a run. Each is safe to repeat with the same `--key`. */
export function addRunMessages(parent: Command, context: CommandContext): void {
  addTextMessages(parent, context);
  addPlainMessages(parent, context);
  addTopUp(parent, context);
}

function addTextMessages(parent: Command, context: CommandContext): void {
  const send = {
    name: 'send',
    summary: 'answer a run’s question, or say the next thing',
    examples: [`perdure run send ${ID} "It is order A-1090."`],
  };
  addMessage(parent, context, send)
    .argument('<text>', 'what to say')
    .action(async (id: string, text: string, options: SendOptions) => {
      await deliver(context, id, options, (handle, sent) => handle.provideInput(text, sent));
    });
  const steer = {
    name: 'steer',
    summary: 'give guidance for the next turn',
    examples: [`perdure run steer ${ID} "Be brief."`],
  };
  addMessage(parent, context, steer)
    .argument('<text>', 'guidance')
    .action(async (id: string, text: string, options: SendOptions) => {
      await deliver(context, id, options, (handle, sent) => handle.steer(text, sent));
    });
  const stop = {
    name: 'stop',
    summary: 'end a run at the next safe point: a write in flight finishes, nothing new starts',
    examples: [`perdure run stop ${ID} --reason "The customer called."`],
  };
  addMessage(parent, context, stop)
    .option('--reason <text>', 'why', 'stopped from the command line')
    .action(async (id: string, options: SendOptions & { readonly reason: string }) => {
      await deliver(context, id, options, (handle, sent) => handle.requestStop(options.reason, sent));
    });
}

function addPlainMessages(parent: Command, context: CommandContext): void {
  const summaries = {
    pause: 'let a run finish what it does and then wait',
    resume: 'let a paused run go on',
  } as const;
  for (const name of ['pause', 'resume'] as const) {
    addMessage(parent, context, { name, summary: summaries[name], examples: [`perdure run ${name} ${ID}`] }).action(
      async (id: string, options: SendOptions) => {
        await deliver(context, id, options, (handle, sent) => handle[name](sent));
      },
    );
  }
  const cancel = {
    name: 'cancel',
    summary: 'ask Temporal to cancel a run; stop also records why',
    examples: [`perdure run cancel ${ID}`],
  };
  addRunArgument(addCommand(parent, cancel)).action(async (id: string, options: SendOptions) => {
    await deliver(context, id, options, async (handle) => {
      await handle.cancel();
      return { result: 'sent' };
    });
  });
}

function addTopUp(parent: Command, context: CommandContext): void {
  const topUp = {
    name: 'top-up',
    summary: 'raise what a run may use',
    examples: [`perdure run top-up ${ID} --usd 0.10`, `perdure run top-up ${ID} --turns 10 --tokens 50000`],
  };
  addMessage(parent, context, topUp)
    .option('--usd <usd>', 'money to add', parseUsd)
    .option('--tokens <count>', 'tokens to add', parseAmount)
    .option('--turns <count>', 'turns to add', parseAmount)
    .option('--tool-calls <count>', 'tool calls to add', parseAmount)
    .option('--active-seconds <count>', 'working time to add', parseAmount)
    .action(async (id: string, options: SendOptions & TopUpOptions) => {
      await deliver(context, id, options, (handle, sent) => handle.topUpBudget(topUpOf(options), sent));
    });
}

type TopUpOptions = {
  readonly usd?: number;
  readonly tokens?: number;
  readonly turns?: number;
  readonly toolCalls?: number;
  readonly activeSeconds?: number;
};

function topUpOf({ usd, tokens, turns, toolCalls, activeSeconds }: TopUpOptions): TopUp {
  const topUp: TopUp = {
    ...(usd === undefined ? {} : { costPico: String(picoFromUsd(usd)) }),
    ...(tokens === undefined ? {} : { tokens }),
    ...(turns === undefined ? {} : { turns }),
    ...(toolCalls === undefined ? {} : { toolCalls }),
    ...(activeSeconds === undefined ? {} : { activeMs: activeSeconds * 1_000 }),
  };
  if (Object.keys(topUp).length > 0) return topUp;
  throw new CommandError(EXIT.usage, 'name an amount: --usd, --tokens, --turns, --tool-calls or --active-seconds');
}

function addMessage(parent: Command, context: CommandContext, spec: CommandSpec): Command {
  return addRunArgument(addCommand(parent, spec))
    .option('--key <key>', 'key of the message: the same key is applied once (default: random)')
    .option('--as <principal>', `who sends it (default: ${context.cli.account})`);
}

/** Sends a message and says what became of it. */
async function deliver(
  context: CommandContext,
  id: string,
  options: SendOptions,
  send: (handle: RunHandle, sent: MessageOptions) => Promise<SendReceipt>,
): Promise<void> {
  const { key, as } = options;
  const { result } = await withRuns(context.cli, async (runs) => {
    const tenant = await findRunTenant(runs, id);
    await refuseEnded(runs, id, tenant);
    const handle = runs.client.run(id, tenant === null ? {} : { tenant });
    return send(handle, { ...(key === undefined ? {} : { key }), ...(as === undefined ? {} : { principal: as }) });
  });
  printData(context, options, { id, result }, () => result);
  if (result === 'sent') {
    context.cli.say(`the run takes it when a worker comes to it; ${spellCommand(`run show ${id}`)} says how it stands`);
  }
}

/**
 * A run that has ended takes nothing more. Its row says how it ended; Temporal would take a cancellation all the same, and forgets.
 *
 * @throws CommandError
 */
async function refuseEnded({ reader }: OpenRuns, id: string, tenant: string | null): Promise<void> {
  const end = tenant === null ? null : ((await reader.run(tenant, id))?.end ?? null);
  if (end === null) return;
  throw new CommandError(
    EXIT.conflict,
    `run ${id} has ended (${formatOutcome(end.outcome)}); nothing was sent, and nothing can be changed`,
  );
}

function parseAmount(text: string): number {
  const amount = Number(text);
  if (Number.isSafeInteger(amount) && amount > 0) return amount;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
