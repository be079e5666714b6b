import type { Command } from 'commander';
import { addAccountArguments, findAccount, readKind } from '../budget-account.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { accountData, formatAccounts } from '../format/budget.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';

type Options = CommonOptions & { readonly tenant: string };

/** Adds `budget show`. */
export function addBudgetShow(parent: Command, context: CommandContext): void {
  const command = addCommand(parent, {
    name: 'show',
    summary: 'show the budgets that have a cap, or one of them: what is spent, held and left',
    examples: ['perdure budget show', 'perdure budget show tenant acme', 'perdure budget show user ann --tenant acme'],
  });
  addAccountArguments(command, 'optional').action(
    async (kind: string | undefined, id: string | undefined, options: Options) => {
      const accounts = await withRuns(context.cli, async (runs) => find(runs, kind, id, options));
      if (accounts.length === 0) {
        context.cli.say(
          `no budget has a cap; ${spellCommand('budget set tenant acme --usd 100 --per month')} sets one`,
        );
      }
      if (accounts.length > 0 || options.json === true) {
        const shown = accounts.map(accountData);
        printData(context, options, shown, () => formatAccounts(shown));
      }
    },
  );
}

async function find(runs: OpenRuns, kind: string | undefined, id: string | undefined, { tenant }: Options) {
  const { budgets } = runs.stores;
  if (kind === undefined) return budgets.list(null, {});
  const known = readKind(kind);
  if (id === undefined && known !== 'organisation') return budgets.list(null, { kind: known });
  const account = await findAccount(runs, { kind, id, tenant });
  const found = (await budgets.list(account.tenant, account)).filter((each) => each.tenant === account.tenant);
  if (found.length > 0) return found;
  const where = known === 'user' ? ` in tenant ${tenant} (--tenant names another)` : '';
  throw new CommandError(
    EXIT.notFound,
    `nothing is known of ${kind} ${id ?? ''}${where}: no run of it was admitted and no cap was set; ${spellCommand('budget show')} lists those with a cap`,
  );
}
