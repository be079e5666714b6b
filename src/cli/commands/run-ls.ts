import { type Command, Option } from 'commander';
import { type Phase, PHASES } from '../../domain/run/phase.ts';
import type { RunRecord } from '../../domain/schemas/run-records.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatStanding } from '../format/run.ts';
import { formatTable } from '../format/table.ts';
import { formatCost, formatMoment } from '../format/units.ts';
import { withRuns } from '../open-runs.ts';
import { parseCount } from '../parse-count.ts';
import { spellCommand } from '../spell-command.ts';
import { listStuckRuns } from '../stuck-runs.ts';

type Options = CommonOptions & {
  readonly tenant?: string;
  readonly agent?: string;
  readonly phase?: Phase;
  readonly limit: number;
  readonly stuck?: boolean;
};

/** Adds `run ls`. */
export function addRunLs(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'ls',
    summary: 'list runs, the newest first',
    examples: ['perdure run ls', 'perdure run ls --agent support --phase blocked --json', 'perdure run ls --stuck'],
  })
    .option('--tenant <tenant>', 'only runs of this tenant')
    .option('--agent <agent>', 'only runs of this agent')
    .addOption(new Option('--phase <phase>', 'only runs in this phase').choices(PHASES))
    .option('--limit <count>', 'at most so many, up to 1000', parseCount, 20)
    .addOption(new Option('--stuck', 'only runs that make no progress, and why').conflicts('phase'))
    .action(async (options: Options) => {
      const { tenant, agent, phase, limit } = options;
      if (options.stuck === true) return listStuckRuns(context, options);
      const filter = { limit, ...(agent === undefined ? {} : { agent }), ...(phase === undefined ? {} : { phase }) };
      const records = await withRuns(context.cli, ({ reader }) => reader.runs(tenant ?? null, filter));
      const isFiltered = tenant !== undefined || agent !== undefined || phase !== undefined;
      if (records.length === 0)
        context.cli.say(isFiltered ? 'no such runs' : `no runs; ${spellCommand('run start')} makes one`);
      if (records.length > 0 || options.json === true) printData(context, options, records, () => formatRuns(records));
    });
}

function formatRuns(records: readonly RunRecord[]): string {
  return formatTable(
    [
      { heading: 'id' },
      { heading: 'agent' },
      { heading: 'tenant' },
      { heading: 'started' },
      { heading: 'turns', align: 'right' },
      { heading: 'cost', align: 'right' },
      { heading: 'standing' },
    ],
    records.map((run) => [
      run.id,
      run.agent,
      run.tenant,
      formatMoment(run.createdAt),
      String(run.turns),
      formatCost(run.costPico, run.isCostSimulated),
      formatStanding(run).slice(0, 80),
    ]),
  );
}
