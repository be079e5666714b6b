import type { Command } from 'commander';
import { formatUsd } from '../../domain/model/price.ts';
import type { HeldSettled } from '../../stores/budgets.ts';
import type { HeldReservation } from '../../stores/held-reader.ts';
import { parseTokens, readText } from '../budget-account.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { formatHeld, formatHeldSum } from '../format/budget.ts';
import { withRuns } from '../open-runs.ts';
import { parsePico } from '../parse-pico.ts';
import { spellCommand } from '../spell-command.ts';

type SettleOptions = CommonOptions & {
  /** Pico-dollars. */
  readonly usd?: bigint;
  readonly tokens?: number;
  readonly free?: boolean;
  readonly reason: string;
  readonly by?: string;
};

/** Adds `budget held` and `budget settle`. */
export function addBudgetHeld(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'held',
    summary: 'list money that is held because nobody knows whether a call was paid',
    examples: ['perdure budget held', 'perdure budget held --tenant acme'],
  })
    .option('--tenant <tenant>', 'only of this tenant')
    .action(async (options: CommonOptions & { readonly tenant?: string }) => {
      const held = await withRuns(context.cli, ({ stores }) => stores.budgets.held(options.tenant ?? null));
      if (held.length === 0) context.cli.say('nothing is held');
      if (held.length > 0 || options.json === true) {
        printData(context, options, held.map(heldData), () => `${formatHeld(held)}\n\n${formatHeldSum(held)}`);
      }
    });
  addCommand(parent, {
    name: 'settle',
    summary: 'say what a call cost whose money is held; it is charged or given back on every account',
    examples: [
      'perdure budget settle RESERVATION --usd 0.012 --reason "It is in the provider’s log."',
      'perdure budget settle RESERVATION --free --reason "The provider never got it."',
    ],
  })
    .argument('<reservation>', `from ${spellCommand('budget held')}`)
    .option('--usd <usd>', 'what the provider charged', parsePico)
    .option('--tokens <count>', 'tokens that it counted (default: as many as were reserved)', parseTokens)
    .option('--free', 'the provider charged nothing')
    .requiredOption('--reason <text>', 'how you know; the audit keeps it')
    .option('--by <principal>', `who looked (default: ${context.cli.account})`)
    .action(async (id: string, options: SettleOptions) => settle(context, id, options));
}

async function settle(context: CommandContext, id: string, options: SettleOptions): Promise<void> {
  const { usd, tokens, free } = options;
  const reason = readText('--reason', options.reason);
  const by = options.by === undefined ? undefined : readText('--by', options.by);
  if ((usd === undefined) === (free !== true) || (free === true && tokens !== undefined)) {
    throw new CommandError(EXIT.usage, 'say either --usd AMOUNT or --free');
  }
  const charge =
    usd === undefined ? ({ kind: 'free' } as const) : ({ kind: 'paid', pico: usd, tokens: tokens ?? null } as const);
  const settled = await withRuns(context.cli, async ({ stores }) => {
    const found = await stores.budgets.findReservation(id);
    if (found === null) {
      throw new CommandError(
        EXIT.notFound,
        `there is no reservation ${id}; ${spellCommand('budget held')} lists those that are held`,
      );
    }
    const word = await stores.budgets.settleHeld(found.tenant, id, charge, {
      principal: by ?? context.cli.account,
      reason,
    });
    return readSettled(word, id);
  });
  const cost = charge.kind === 'free' ? 'nothing' : `${formatUsd(charge.pico)} USD`;
  const state = charge.kind === 'free' ? 'released' : 'settled';
  const data = { ...heldData(settled), state, costPico: charge.kind === 'free' ? '0' : String(charge.pico) };
  printData(context, options, data, () => `settled: ${cost} of at most ${formatUsd(settled.worstPico)} USD`);
}

function readSettled(word: HeldSettled | null, id: string): HeldReservation {
  switch (word?.kind) {
    case 'settled':
      return word.held;
    case 'not-held':
      throw new CommandError(
        EXIT.conflict,
        `reservation ${id} is ${word.state}: what it cost is known; nothing was changed`,
      );
    case 'under-way':
      throw new CommandError(
        EXIT.conflict,
        `the call of reservation ${id} may still be under way in run ${word.held.runId}, and would know better; wait for its next attempt, or stop the run`,
      );
    case 'too-much':
      throw new CommandError(
        EXIT.usage,
        `reservation ${id} cannot have cost so much: at most ${formatUsd(word.held.worstPico)} USD and ${word.held.worstTokens} tokens were reserved for it`,
      );
    case undefined:
      throw new CommandError(EXIT.notFound, `reservation ${id} is gone`);
  }
}

function heldData({ worstPico, ...rest }: HeldReservation) {
  return { ...rest, worstPico: String(worstPico) };
}
