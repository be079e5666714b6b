import { type Command, Option } from 'commander';
import { formatUsd } from '../../domain/model/price.ts';
import { type Period, PERIODS } from '../../domain/policy/budget.ts';
import { addAccountArguments, findAccount, parseTokens, readText } from '../budget-account.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { withRuns } from '../open-runs.ts';
import { parsePico } from '../parse-pico.ts';
import { spellCommand } from '../spell-command.ts';

type Amounts = CommonOptions & {
  readonly tenant: string;
  /** Pico-dollars. */
  readonly usd?: bigint;
  readonly tokens?: number;
  readonly by?: string;
  readonly reason?: string;
};

type SetOptions = Amounts & { readonly per: Period; readonly none?: boolean };

/** Adds `budget set` and `budget top-up`. */
export function addBudgetSet(parent: Command, context: CommandContext): void {
  const set = addCommand(parent, {
    name: 'set',
    summary: 'set or take away a cap; runs under way meet it at their next model call',
    examples: [
      'perdure budget set tenant acme --usd 100 --per month',
      'perdure budget set user ann --tenant acme --usd 2 --per day',
      'perdure budget set organisation --none',
    ],
  });
  addAmounts(addAccountArguments(set, 'required'), context)
    .addOption(new Option('--per <period>', 'span of the cap, in UTC').choices([...PERIODS]).default('total'))
    .option('--none', 'take the cap away')
    .action(async (kind: string, id: string | undefined, options: SetOptions) => setCap(context, kind, id, options));
  const topUp = addCommand(parent, {
    name: 'top-up',
    summary: 'add to a cap, in its current period; runs that wait for it go on by themselves',
    examples: ['perdure budget top-up tenant acme --usd 5'],
  });
  addAmounts(addAccountArguments(topUp, 'required'), context).action(
    async (kind: string, id: string | undefined, options: Amounts) => addToCap(context, kind, id, options),
  );
}

function addAmounts(command: Command, context: CommandContext): Command {
  return command
    .option('--usd <usd>', 'money', parsePico)
    .option('--tokens <count>', 'tokens', parseTokens)
    .option('--reason <text>', 'why; the audit keeps it')
    .option('--by <principal>', `who does it (default: ${context.cli.account})`);
}

async function setCap(
  context: CommandContext,
  kind: string,
  id: string | undefined,
  options: SetOptions,
): Promise<void> {
  const { usd, tokens, none, per, tenant } = options;
  const hasAmount = usd !== undefined || tokens !== undefined;
  if (hasAmount === (none === true)) {
    throw new CommandError(EXIT.usage, 'name a cap with --usd or --tokens, or take it away with --none');
  }
  const cap = hasAmount ? { pico: usd ?? null, tokens: tokens ?? null, period: per } : null;
  const account = await withRuns(context.cli, async (runs) => {
    const found = await findAccount(runs, { kind, id, tenant });
    if (!(await runs.stores.budgets.isKnown(found))) {
      context.cli.say(
        `no run of ${nameOf(kind, id)} was admitted yet: if that is a slip, take the cap away with --none`,
      );
    }
    await runs.stores.budgets.setCap(found.tenant, found, cap, actor(context, options));
    return found;
  });
  const data = { ...account, capPico: cap?.pico?.toString() ?? null, capTokens: cap?.tokens ?? null, period: per };
  const name = nameOf(kind, id);
  printData(context, options, data, () =>
    cap === null
      ? `${name} has no cap`
      : `${name} may use ${formatCap(cap.pico, cap.tokens)}${per === 'total' ? ' in all' : ` a ${per}`}`,
  );
}

async function addToCap(
  context: CommandContext,
  kind: string,
  id: string | undefined,
  options: Amounts,
): Promise<void> {
  const { usd, tokens, tenant } = options;
  if (usd === undefined && tokens === undefined)
    throw new CommandError(EXIT.usage, 'name an amount: --usd or --tokens');
  const amount = { pico: usd ?? null, tokens: tokens ?? null };
  const name = nameOf(kind, id);
  const account = await withRuns(context.cli, async (runs) => {
    const found = await findAccount(runs, { kind, id, tenant });
    if (await runs.stores.budgets.topUp(found.tenant, found, amount, actor(context, options))) return found;
    throw new CommandError(
      EXIT.conflict,
      `${name} has no such cap, so there is nothing to add to; ${spellCommand(`budget set ${name} --usd 5`)} sets one`,
    );
  });
  const data = { ...account, addedPico: amount.pico?.toString() ?? null, addedTokens: amount.tokens };
  printData(context, options, data, () => `${name} may use ${formatCap(amount.pico, amount.tokens)} more`);
  context.cli.say('runs that wait for it go on within half a minute');
}

function actor({ cli }: CommandContext, { by, reason }: Amounts) {
  const principal = by === undefined ? cli.account : readText('--by', by);
  return { principal, ...(reason === undefined ? {} : { reason: readText('--reason', reason) }) };
}

function nameOf(kind: string, id: string | undefined): string {
  return id === undefined ? kind : `${kind} ${id}`;
}

function formatCap(pico: bigint | null, tokens: number | null): string {
  return [
    ...(pico === null ? [] : [`${formatUsd(pico)} USD`]),
    ...(tokens === null ? [] : [`${tokens.toLocaleString('en-US')} tokens`]),
  ].join(' and ');
}
