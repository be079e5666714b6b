import type { Command } from 'commander';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { EXIT } from '../exit.ts';
import { parseCount } from '../parse-count.ts';
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
      `perdure replay "PerdureAgent = 'support' AND PerdureOutcome = 'failed'" --limit 20`,
    ],
  })
    .argument('<target>', 'a JSON history, a folder of them, the id of a run, or a query to Temporal’s list')
    .option('--limit <count>', 'of a query at most so many executions, the newest; up to 1000', parseCount, 100)
    .action(async (target: string, options: CommonOptions & { readonly limit: number }) => {
      // The worker's native library takes time to load, so other commands do without.
      const { findHistories } = await import('../replay/find-histories.ts');
      const { replayHistories } = await import('../replay/replay-histories.ts');
      const results = await replayHistories(await findHistories(context.cli, target, options.limit));
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
