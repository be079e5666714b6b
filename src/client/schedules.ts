import {
  type ScheduleDescription,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleOverlapPolicy,
} from '@temporalio/client';
import { LIMITS } from '../domain/run/limits.ts';
import { runIdOfTime, type ScheduledRun } from '../domain/run/scheduled-run.ts';
import { OVERLAPS, scheduleIdSchema, scheduleTimesSchema } from '../domain/schemas/schedule-options.ts';
import { codeOf } from './ask-run.ts';
import { readShape } from './check-input.ts';
import type { ClientContext } from './context.ts';
import { InvalidInput, ScheduleExists, ScheduleNotFound } from './errors.ts';
import { readStart, type StartOptions, workflowOptions } from './start-run.ts';

export type Overlap = (typeof OVERLAPS)[number];

/** When to start runs, and which. */
export type ScheduleOptions = Omit<StartOptions, 'startKey' | 'kind' | 'attachments'> & {
  /** Name of the schedule within its tenant: 1 to 64 letters, digits, dots, dashes or underscores. */
  readonly id: string;
  /** Cron expressions of five fields, such as `0 8 * * 1-5`. Either these or `everyMs`. */
  readonly cron?: readonly string[];
  /** Milliseconds between two starts, at least 1,000, counted from the epoch. */
  readonly everyMs?: number;
  /** IANA time zone of the cron expressions. Default `UTC`. */
  readonly timeZone?: string;
  /**
   * What happens when the run of an earlier time still goes on: `skip` leaves the time out, `buffer-one` and `buffer-all` wait,
   * `allow-all` starts beside it, `cancel-other` cancels it. Default `skip`.
   */
  readonly overlap?: Overlap;
  /** Times that were missed while Temporal was away are made up for within so many milliseconds. Default an hour. */
  readonly catchUpMs?: number;
  /** Default false. */
  readonly isPaused?: boolean;
};

/** Names a schedule. */
export type ScheduleName = { readonly id: string; readonly tenant?: string };

/** A schedule as it stands. */
export type ScheduleView = {
  readonly id: string;
  readonly tenant: string;
  readonly agent: string;
  readonly isPaused: boolean;
  readonly note: string | null;
  readonly timeZone: string;
  readonly overlap: Overlap | null;
  readonly catchUpMs: number;
  /** The next times, at most ten. */
  readonly next: readonly Date[];
  /** The newest times, the oldest first, and the run of each. */
  readonly recent: readonly { readonly scheduledAt: Date; readonly agentRunId: string }[];
  /** How often it has started a run, was too late to, and left a time out because an earlier run went on. */
  readonly counts: { readonly started: number; readonly missed: number; readonly skipped: number };
};

/** A line of a list of schedules. */
export type ScheduleSummary = Pick<ScheduleView, 'id' | 'tenant' | 'isPaused' | 'next'>;

/** Starts agents at certain times. Temporal keeps the schedules; a connection to it suffices. */
export type Schedules = {
  /** Throws `InvalidInput`, or `ScheduleExists` where the id is taken: nothing is changed then. */
  readonly create: (options: ScheduleOptions) => Promise<void>;
  readonly list: (options?: { readonly tenant?: string }) => Promise<readonly ScheduleSummary[]>;
  /** The following throw `ScheduleNotFound`. */
  readonly show: (name: ScheduleName) => Promise<ScheduleView>;
  readonly pause: (name: ScheduleName, note?: string) => Promise<void>;
  readonly resume: (name: ScheduleName, note?: string) => Promise<void>;
  /** Starts a run now, whatever goes on beside it, and also where the schedule is paused. */
  readonly trigger: (name: ScheduleName) => Promise<void>;
  /** Deletes the schedule; runs that it has started go on. */
  readonly delete: (name: ScheduleName) => Promise<void>;
};

const WORKFLOW_TYPE = 'startScheduledRun';

/** An hour: what an outage makes late is still wanted, what was due last week is not. */
const CATCH_UP_MS = 3_600_000;

/** gRPC's code of a request that cannot be right, here a cron expression that does not parse. */
const INVALID_ARGUMENT = 3;

/** Makes the functions of schedules. */
export function createSchedules(context: ClientContext): Schedules {
  const { schedule } = context.temporal;
  return {
    create: (options) => createSchedule(context, options),
    list: async ({ tenant } = {}) => {
      const listed: ScheduleSummary[] = [];
      for await (const { scheduleId, action, state, info } of schedule.list()) {
        const name = nameOf(scheduleId);
        if (action?.workflowType !== WORKFLOW_TYPE || name === null) continue;
        if (tenant !== undefined && tenant !== name.tenant) continue;
        listed.push({ ...name, isPaused: state.paused, next: info.nextActionTimes });
      }
      return listed;
    },
    show: (name) => found(name, async (id) => viewOf(name, await schedule.getHandle(id).describe())),
    pause: (name, note) => found(name, (id) => schedule.getHandle(id).pause(note)),
    resume: (name, note) => found(name, (id) => schedule.getHandle(id).unpause(note)),
    trigger: (name) => found(name, (id) => schedule.getHandle(id).trigger('ALLOW_ALL')),
    delete: (name) => found(name, (id) => schedule.getHandle(id).delete()),
  };
}

const DEFAULT_TENANT = 'default';

async function found<Result>(name: ScheduleName, work: (id: string) => Promise<Result>): Promise<Result> {
  try {
    return await work(temporalId(name));
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) throw new ScheduleNotFound(name.id, name.tenant ?? DEFAULT_TENANT);
    throw error;
  }
}

async function createSchedule(context: ClientContext, options: ScheduleOptions): Promise<void> {
  const {
    id,
    cron,
    everyMs,
    timeZone = 'UTC',
    overlap = 'skip',
    catchUpMs = CATCH_UP_MS,
    isPaused = false,
    ...run
  } = options;
  const scheduleId = readShape(scheduleIdSchema, id);
  for (const name of ['startKey', 'kind', 'attachments']) {
    if (name in run) throw new InvalidInput(`a schedule takes no ${name}: each of its times starts a run of its own`);
  }
  const times = readShape(scheduleTimesSchema, {
    ...(cron === undefined ? {} : { cron }),
    ...(everyMs === undefined ? {} : { everyMs }),
    timeZone,
    overlap,
    catchUpMs,
    isPaused,
  });
  const start = readStart(context, { ...run, startKey: scheduleId, kind: 'single' });
  const { typedSearchAttributes, staticSummary, workflowTaskTimeout } = workflowOptions(context, scheduleId, start);
  const { startKey: _key, deadlineAt: _at, ...rest } = start;
  const { deadlineMs = LIMITS.deadlineMs } = run;
  const scheduled: ScheduledRun = { ...rest, scheduleId, deadlineMs, summary: staticSummary };
  try {
    await context.temporal.schedule.create({
      scheduleId: temporalId({ id: scheduleId, tenant: start.tenant }),
      spec: {
        ...(times.cron === undefined ? {} : { cronExpressions: times.cron }),
        ...(times.everyMs === undefined ? {} : { intervals: [{ every: times.everyMs }] }),
        timezone: times.timeZone,
      },
      action: {
        type: 'startWorkflow',
        workflowType: WORKFLOW_TYPE,
        workflowId: temporalId({ id: scheduleId, tenant: start.tenant }),
        taskQueue: context.taskQueue,
        args: [scheduled],
        workflowTaskTimeout,
        staticSummary: `schedule ${scheduleId} · ${staticSummary}`,
      },
      policies: { overlap: toTemporal(times.overlap), catchupWindow: times.catchUpMs, pauseOnFailure: false },
      state: { paused: times.isPaused },
      typedSearchAttributes,
    });
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) throw new ScheduleExists(scheduleId, start.tenant, { cause: error });
    // The SDK refuses some cron expressions itself.
    if (codeOf(error) !== INVALID_ARGUMENT && !(error instanceof TypeError)) throw error;
    throw new InvalidInput(`the schedule is refused: ${detailsOf(error)}`, { cause: error });
  }
}

/** Schedules of all tenants stand beside each other in a namespace. */
function temporalId({ id, tenant = DEFAULT_TENANT }: ScheduleName): string {
  return `schedule:${tenant}:${id}`;
}

function nameOf(scheduleId: string): { readonly tenant: string; readonly id: string } | null {
  const [, tenant, id] = /^schedule:([^:]+):([^:]+)$/.exec(scheduleId) ?? [];
  return tenant === undefined || id === undefined ? null : { tenant, id };
}

function toTemporal(overlap: Overlap): ScheduleOverlapPolicy {
  return overlap.toUpperCase().replace('-', '_') as ScheduleOverlapPolicy;
}

function viewOf(name: ScheduleName, described: ScheduleDescription): ScheduleView {
  const { info, state, policies, spec, action } = described;
  const [scheduled] = (action.args ?? []) as readonly Partial<ScheduledRun>[];
  const { id, tenant = DEFAULT_TENANT } = name;
  return {
    id,
    tenant,
    agent: scheduled?.agent ?? '',
    isPaused: state.paused,
    note: state.note === undefined || state.note === '' ? null : state.note,
    timeZone: spec.timezone ?? 'UTC',
    overlap: OVERLAPS.find((overlap) => toTemporal(overlap) === policies.overlap) ?? null,
    catchUpMs: policies.catchupWindow,
    next: info.nextActionTimes,
    recent: info.recentActions.map(({ scheduledAt }) => ({
      scheduledAt,
      agentRunId: runIdOfTime(tenant, id, scheduledAt),
    })),
    counts: {
      started: info.numActionsTaken,
      missed: info.numActionsMissedCatchupWindow,
      skipped: info.numActionsSkippedOverlap,
    },
  };
}

function detailsOf(error: unknown): string {
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    if ('details' in current && typeof current.details === 'string' && current.details !== '') return current.details;
  }
  return error instanceof Error ? error.message : String(error);
}
