import type { Command } from 'commander';
import type { DeferredRecord } from '../../domain/schemas/run-records.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { formatTable } from '../format/table.ts';
import { formatDuration, oneLine } from '../format/units.ts';
import { withRuns } from '../open-runs.ts';

type Options = CommonOptions & { readonly run?: string; readonly tenant?: string };

/** Adds `tool ls`. */
export function addToolLs(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'ls',
    summary: 'list the tool calls that wait for a result from outside, the next deadline first',
    examples: ['perdure tool ls', 'perdure tool ls --run 0aB1cD2eF3gH4iJ5kL6mN7 --json'],
  })
    .option('--run <id>', 'only of this run')
    .option('--tenant <tenant>', 'only of this tenant')
    .action(async (options: Options) => {
      const { run, tenant } = options;
      const filter = { state: 'waiting', ...(run === undefined ? {} : { agentRunId: run }) };
      const records = await withRuns(context.cli, ({ reader }) => reader.deferredCalls(tenant ?? null, filter));
      if (records.length === 0) context.cli.say('no tool call waits for a result');
      if (records.length > 0 || options.json === true) {
        printData(context, options, records, () => formatDeferredCalls(records));
      }
    });
}

function formatDeferredCalls(records: readonly DeferredRecord[]): string {
  const now = Date.now();
  return formatTable(
    [
      { heading: 'token' },
      { heading: 'run' },
      { heading: 'tool' },
      { heading: 'waits for', align: 'right' },
      { heading: 'time left', align: 'right' },
      { heading: 'note' },
    ],
    records.map((record) => [
      record.token,
      record.runId,
      record.tool,
      formatDuration(Math.max(0, now - record.createdAt.getTime())),
      formatDuration(Math.max(0, record.deadlineAt.getTime() - now)),
      typeof record.note === 'string' ? oneLine(record.note).slice(0, 100) : '',
    ]),
  );
}
