import { type Command, Option } from 'commander';
import type { EffectRecord } from '../../domain/schemas/run-records.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatTable } from '../format/table.ts';
import { formatMoment } from '../format/units.ts';
import { withRuns } from '../open-runs.ts';

const STATES = ['intended', 'succeeded', 'failed', 'unknown', 'compensating', 'compensated', 'compensation-unknown'];

type Options = CommonOptions & { readonly run?: string; readonly state?: string; readonly tenant?: string };

/** Adds `effect ls`. */
export function addEffectLs(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'ls',
    summary: 'list what runs have changed outside, the newest first',
    examples: ['perdure effect ls --state unknown', 'perdure effect ls --run 0aB1cD2eF3gH4iJ5kL6mN7'],
  })
    .addOption(new Option('--state <state>', 'only effects in this state').choices(STATES))
    .option('--run <id>', 'only of this run')
    .option('--tenant <tenant>', 'only of this tenant')
    .action(async (options: Options) => {
      const { run, state, tenant } = options;
      const filter = { ...(run === undefined ? {} : { agentRunId: run }), ...(state === undefined ? {} : { state }) };
      const records = await withRuns(context.cli, ({ reader }) => reader.effects(tenant ?? null, filter));
      if (records.length === 0) context.cli.say('no effects');
      if (records.length > 0 || options.json === true)
        printData(context, options, records, () => formatEffects(records));
    });
}

function formatEffects(records: readonly EffectRecord[]): string {
  return formatTable(
    [
      { heading: 'key' },
      { heading: 'run' },
      { heading: 'turn', align: 'right' },
      { heading: 'tool' },
      { heading: 'attempts', align: 'right' },
      { heading: 'begun' },
      { heading: 'state' },
    ],
    records.map((record) => [
      record.key,
      record.runId,
      String(record.turn),
      record.tool,
      String(record.attempts),
      formatMoment(record.createdAt),
      record.state,
    ]),
  );
}
