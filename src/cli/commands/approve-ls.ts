import type { Command } from 'commander';
import type { ApprovalRecord } from '../../domain/schemas/run-records.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatTable } from '../format/table.ts';
import { formatDuration, oneLine } from '../format/units.ts';
import { withRuns } from '../open-runs.ts';

type Options = CommonOptions & { readonly run?: string; readonly tenant?: string };

/** Adds `approve ls`. */
export function addApproveLs(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'ls',
    summary: 'list what waits for a person’s approval',
    examples: ['perdure approve ls', 'perdure approve ls --run 0aB1cD2eF3gH4iJ5kL6mN7 --json'],
  })
    .option('--run <id>', 'only of this run')
    .option('--tenant <tenant>', 'only of this tenant')
    .action(async (options: Options) => {
      const { run, tenant } = options;
      const filter = { state: 'pending', ...(run === undefined ? {} : { agentRunId: run }) };
      const records = await withRuns(context.cli, ({ reader }) => reader.approvals(tenant ?? null, filter));
      if (records.length === 0) context.cli.say('nothing waits for approval');
      if (records.length > 0 || options.json === true) {
        printData(context, options, records, () => formatApprovals(records));
      }
    });
}

function formatApprovals(records: readonly ApprovalRecord[]): string {
  return formatTable(
    [
      { heading: 'id' },
      { heading: 'run' },
      { heading: 'agent' },
      { heading: 'expires in' },
      { heading: 'rule' },
      { heading: 'call' },
    ],
    records.map((record) => [
      record.id,
      record.runId,
      record.agent,
      formatDuration(Math.max(0, record.deadlineAt.getTime() - Date.now())),
      record.rule,
      `${record.tool} ${oneLine(JSON.stringify(record.args)).slice(0, 100)}`,
    ]),
  );
}
