import type { Command } from 'commander';
import { textProblem } from '../../domain/text-problem.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { withRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';

type Options = CommonOptions & { readonly reason: string; readonly by?: string };

/** Adds `models reset-breaker`. */
export function addModelsResetBreaker(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'reset-breaker',
    summary: 'call a model again at once, whatever its breaker says, and forget what it knew',
    examples: ['perdure models reset-breaker openai:gpt-5-mini --reason "The provider says that it is mended."'],
  })
    .argument('<model>', `id of the model, from ${spellCommand('models breakers')}`)
    .requiredOption('--reason <text>', 'why; the audit keeps it')
    .option('--by <principal>', `who does it (default: ${context.cli.account})`)
    .action(async (id: string, options: Options) => {
      const problem = textProblem('--reason', options.reason);
      if (problem !== null) throw new CommandError(EXIT.usage, problem);
      const principal = options.by ?? context.cli.account;
      const before = await withRuns(context.cli, ({ stores }) => stores.breakers.reset(id, principal, options.reason));
      if (before.length === 0) {
        const message = `there is no breaker of ${id}; ${spellCommand('models breakers')} lists them`;
        throw new CommandError(EXIT.notFound, message);
      }
      printData(context, options, { model: id, before, after: 'closed' }, () => 'closed');
      const was = before.some(({ status }) => status === 'open') ? 'open' : 'closed';
      context.cli.say(`${id} was ${was}; workers call it again within a second`);
    });
}
