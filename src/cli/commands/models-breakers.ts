import type { Command } from 'commander';
import type { BreakerRecord } from '../../domain/model/breaker.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatTable } from '../format/table.ts';
import { formatMoment } from '../format/units.ts';
import { withRuns } from '../open-runs.ts';

/** Adds `models breakers`. */
export function addModelsBreakers(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'breakers',
    summary: 'show which models are left alone because they fail, and since when',
    examples: ['perdure models breakers'],
  }).action(async (options: CommonOptions) => {
    const records = await withRuns(context.cli, ({ stores }) => stores.breakers.list());
    if (records.length === 0) context.cli.say('no model has been called');
    if (records.length > 0 || options.json === true) printData(context, options, records, () => format(records));
  });
}

function format(records: readonly BreakerRecord[]): string {
  return formatTable(
    [
      { heading: 'model' },
      { heading: 'breaker' },
      { heading: 'since' },
      { heading: 'tried again' },
      { heading: 'failed' },
    ],
    records.map(({ model, server, status, since, halfOpenAt, calls, failures }) => [
      server === '' ? model : `${model} at ${server}`,
      status,
      formatMoment(since),
      halfOpenAt === null ? '' : formatMoment(halfOpenAt),
      `${failures} of the last ${calls} calls`,
    ]),
  );
}
