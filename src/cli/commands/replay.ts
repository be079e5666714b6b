import type { Command } from 'commander';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { EXIT } from '../exit.ts';
import { oneLine } from '../format/units.ts';

/** Adds `replay`. */
export function addReplay(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'replay',
    summary: 'check that recorded histories still replay on this code',
    examples: [
      'temporal workflow show --workflow-id 0aB1cD2eF3gH4iJ5kL6mN7 --output json > history.json && perdure replay history.json',
      'perdure replay test/replay/histories',
      'perdure replay 0aB1cD2eF3gH4iJ5kL6mN7',
    ],
  })
    .argument('<target>', 'a JSON history, a folder of them, or the id of a run')
    .action(async (target: string, options: CommonOptions) => {
      // The worker's native library takes time to load, so other commands do without.
      const { findHistories } = await import('../replay/find-histories.ts');
      const { replayHistories } = await import('../replay/replay-histories.ts');
      const results = await replayHistories(await findHistories(context.cli, target));
      printData(context, options, results, () =>
        results
          .map(({ name, problem }) => (problem === null ? `ok      ${name}` : `failed  ${name}: ${oneLine(problem)}`))
          .join('\n'),
      );
      const failures = results.filter(({ problem }) => problem !== null).length;
      context.cli.say(`${results.length - failures} of ${results.length} replayed`);
      if (failures > 0) endWith(context, EXIT.failed);
    });
}
