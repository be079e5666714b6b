import type { Command } from 'commander';
import { addCommand, type CommandContext, type CommonOptions, endWith } from '../command.ts';
import { addRunArgument, findRunTenant } from '../find-run.ts';
import { followToEnd } from '../follow-to-end.ts';
import { withRuns } from '../open-runs.ts';

/** Adds `run tail`. */
export function addRunTail(parent: Command, context: CommandContext): void {
  const command = addCommand(parent, {
    name: 'tail',
    summary: 'show what a run did and does until it ends, then print its answer',
    examples: ['perdure run tail 0aB1cD2eF3gH4iJ5kL6mN7'],
  });
  addRunArgument(command).action(async (id: string, options: CommonOptions) => {
    await withRuns(context.cli, async (runs) => {
      const tenant = await findRunTenant(runs, id);
      const handle = runs.client.run(id, tenant === null ? {} : { tenant });
      endWith(context, await followToEnd(context, runs, handle, options));
    });
  });
}
