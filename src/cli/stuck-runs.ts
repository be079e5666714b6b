import { findStuckRuns, type StuckRun } from '../workers/watch/find-stuck-runs.ts';
import { type CommandContext, type CommonOptions, printData } from './command.ts';
import { formatTable } from './format/table.ts';
import { formatDuration, oneLine } from './format/units.ts';
import { withRuns } from './open-runs.ts';
import { respell } from './spell-command.ts';

type StuckOptions = CommonOptions & { readonly tenant?: string; readonly agent?: string; readonly limit: number };

/** Executions that Temporal is asked about for one list: some seconds of a person's patience. */
const EXAMINED_MAX = 200;

/** Lists runs that make no progress, with what holds them and what to do. */
export async function listStuckRuns(context: CommandContext, options: StuckOptions): Promise<void> {
  const { cli } = context;
  const { tenant = null, agent, limit } = options;
  const { stuck, unexamined } = await withRuns(cli, ({ stores, connection, temporal: { namespace } }) =>
    findStuckRuns(
      { db: stores.db, connection, namespace },
      { tenant, queuePrefix: cli.env['PERDURE_QUEUE_PREFIX'] || 'perdure', limit: EXAMINED_MAX },
    ),
  );
  const shown = stuck
    .filter((run) => agent === undefined || run.agent === agent)
    .toSorted((a, b) => a.movedAt.getTime() - b.movedAt.getTime())
    .slice(0, limit);
  if (shown.length === 0) cli.say('no run is stuck');
  if (unexamined > 0) cli.say(`${unexamined} more leave no trace of work and were not looked at; ask again`);
  if (shown.length > 0 || options.json === true) printData(context, options, shown, () => formatStuck(shown));
}

function formatStuck(runs: readonly StuckRun[]): string {
  const table = formatTable(
    [
      { heading: 'id' },
      { heading: 'agent' },
      { heading: 'tenant' },
      { heading: 'silent for', align: 'right' },
      { heading: 'reason' },
    ],
    runs.map((run) => [
      run.id,
      run.agent,
      run.tenant,
      formatDuration(Math.max(0, Date.now() - run.movedAt.getTime())),
      run.reason,
    ]),
  );
  const details = runs.map(({ id, detail, mend }) => `${id}\n  ${oneLine(detail).slice(0, 300)}\n  ${respell(mend)}`);
  return [table, ...details].join('\n\n');
}
