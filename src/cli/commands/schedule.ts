import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Overlap, ScheduleName, ScheduleSummary, ScheduleView } from '../../client/index.ts';
import { picoFromUsd } from '../../domain/model/price.ts';
import { OVERLAPS } from '../../domain/schemas/schedule-options.ts';
import { addCommand, addGroup, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { findAgent, loadOwnAgents } from '../find-agent.ts';
import { formatTable } from '../format/table.ts';
import { formatCount, formatDuration, formatMoment, oneLine } from '../format/units.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';
import { parseUsd, readInput } from './run-start.ts';

type Named = CommonOptions & { readonly tenant: string };

type CreateOptions = Named & {
  readonly cron: readonly string[];
  readonly every?: number;
  readonly timeZone: string;
  readonly overlap: Overlap;
  readonly catchUp: number;
  readonly inputFile?: string;
  readonly subject?: string;
  readonly limitUsd?: number;
  readonly paused?: boolean;
};

/** Adds the commands of schedules. */
export function addSchedule(program: Command, context: CommandContext): void {
  const schedule = addGroup(program, {
    name: 'schedule',
    summary: 'start runs at certain times',
    examples: ['perdure schedule ls', 'perdure schedule show morning'],
  });
  addCreate(schedule, context);
  addLs(schedule, context);
  addShow(schedule, context);
  addVerb(schedule, context, 'pause', 'start no more runs until it is resumed', ({ client }, name) =>
    client.schedules.pause(name),
  );
  addVerb(schedule, context, 'resume', 'go on with a paused schedule', ({ client }, name) =>
    client.schedules.resume(name),
  );
  addVerb(schedule, context, 'trigger', 'start its run now', ({ client }, name) => client.schedules.trigger(name));
  addVerb(schedule, context, 'delete', 'delete it; runs that it has started go on', ({ client }, name) =>
    client.schedules.delete(name),
  );
}

function addCreate(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'create',
    summary: 'start a run of an agent at every time of a cron expression, or every so often',
    examples: [
      'perdure schedule create morning research "What is new?" --cron "0 8 * * 1-5" --time-zone Europe/Lisbon',
      'perdure schedule create hourly research --input-file question.txt --every 1h --overlap buffer-one',
    ],
  })
    .argument('<id>', 'name of the schedule')
    .argument('<agent>', 'name of an agent in ./agents')
    .argument('[input]', 'what the agent is asked each time')
    .option('--input-file <file>', 'read the input from a file in UTF-8; - is stdin')
    .option('--cron <expression>', 'minute, hour, day, month, weekday; may be given again', collect, [])
    .option('--every <duration>', 'time between two starts, for example 90s, 15m, 6h or 1d', parseDuration)
    .option('--time-zone <zone>', 'IANA time zone of the cron expression', 'UTC')
    .addOption(
      new Option('--overlap <policy>', 'what to do while the run before goes on').choices(OVERLAPS).default('skip'),
    )
    .option('--catch-up <duration>', 'make up for times missed in an outage of at most this', parseDuration, 3_600_000)
    .option('--tenant <tenant>', 'tenant of the schedule and its runs', 'default')
    .option('--subject <id>', 'whom the runs are about; default: each run itself')
    .option('--limit-usd <usd>', 'spend at most this on each run', parseUsd)
    .option('--paused', 'create it paused')
    .action(async (id: string, agent: string, input: string | undefined, options: CreateOptions) => {
      const { cli } = context;
      findAgent(await loadOwnAgents(cli), agent);
      const text = await readInput(cli, input, options.inputFile);
      const { cron, every, timeZone, overlap, catchUp, tenant, subject, limitUsd, paused } = options;
      await withRuns(cli, ({ client }) =>
        client.schedules.create({
          id,
          agent,
          input: text,
          tenant,
          timeZone,
          overlap,
          catchUpMs: catchUp,
          isPaused: paused === true,
          ...(cron.length === 0 ? {} : { cron }),
          ...(every === undefined ? {} : { everyMs: every }),
          ...(subject === undefined ? {} : { subject }),
          ...(limitUsd === undefined ? {} : { limits: { costPico: String(picoFromUsd(limitUsd)) } }),
        }),
      );
      printData(context, options, { id, tenant }, () => id);
      cli.say(`created. Look at it: ${spellCommand(`schedule show ${id}`)}`);
    });
}

function addLs(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'ls',
    summary: 'list schedules',
    examples: ['perdure schedule ls', 'perdure schedule ls --tenant acme --json'],
  })
    .option('--tenant <tenant>', 'only of this tenant')
    .action(async (options: CommonOptions & { readonly tenant?: string }) => {
      const { tenant } = options;
      const filter = tenant === undefined ? {} : { tenant };
      const listed = await withRuns(context.cli, ({ client }) => client.schedules.list(filter));
      if (listed.length === 0) context.cli.say(`no schedules; ${spellCommand('schedule create')} makes one`);
      if (listed.length > 0 || options.json === true) printData(context, options, listed, () => formatList(listed));
    });
}

function addShow(parent: Command, context: CommandContext): void {
  addNamed(parent, 'show', 'show a schedule, its next times and its last runs').action(
    async (id: string, options: Named) => {
      const view = await withRuns(context.cli, ({ client }) => client.schedules.show({ id, tenant: options.tenant }));
      printData(context, options, view, () => formatView(view));
    },
  );
}

function addVerb(
  parent: Command,
  context: CommandContext,
  name: string,
  summary: string,
  act: (runs: OpenRuns, schedule: ScheduleName) => Promise<void>,
): void {
  addNamed(parent, name, summary).action(async (id: string, options: Named) => {
    await withRuns(context.cli, (runs) => act(runs, { id, tenant: options.tenant }));
    printData(context, options, { id, tenant: options.tenant, done: name }, () => id);
  });
}

function addNamed(parent: Command, name: string, summary: string): Command {
  return addCommand(parent, { name, summary, examples: [`perdure schedule ${name} morning`] })
    .argument('<id>', 'name of the schedule')
    .option('--tenant <tenant>', 'tenant of the schedule', 'default');
}

function formatList(listed: readonly ScheduleSummary[]): string {
  return formatTable(
    [{ heading: 'id' }, { heading: 'tenant' }, { heading: 'state' }, { heading: 'next' }],
    listed.map(({ id, tenant, isPaused, next }) => [
      id,
      tenant,
      isPaused ? 'paused' : 'active',
      next[0] === undefined ? '' : formatMoment(next[0]),
    ]),
  );
}

function formatView({
  id,
  tenant,
  agent,
  isPaused,
  note,
  timeZone,
  overlap,
  catchUpMs,
  ...times
}: ScheduleView): string {
  const { started, missed, skipped } = times.counts;
  const state = isPaused ? 'paused' : 'active';
  return [
    `schedule ${id} · ${agent} · tenant ${tenant} · ${state}${note === null ? '' : ` (${oneLine(note)})`}`,
    `  ${timeZone} · overlap ${overlap ?? 'of another kind'} · catches up within ${formatDuration(catchUpMs)}`,
    `  ${formatCount(started, 'time')} started · ${missed} missed · ${skipped} skipped`,
    ...times.next.slice(0, 3).map((moment) => `  next ${formatMoment(moment)}`),
    ...times.recent.map(({ scheduledAt, agentRunId }) => `  ${formatMoment(scheduledAt)}  run ${agentRunId}`),
  ].join('\n');
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (Number.isSafeInteger(ms) && ms > 0) return ms;
  throw new InvalidArgumentError('It must be a number and a unit: 90s, 15m, 6h or 1d.');
}
