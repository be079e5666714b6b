import { judgeStuck, type Stuck } from '../../domain/run/stuck.ts';
import { describeExecution } from '../../runtime/describe-execution.ts';
import type { TemporalPort } from '../../runtime/queue-pollers.ts';
import { listSuspects } from '../../runtime/suspect-executions.ts';
import type { Db } from '../../stores/database.ts';
import { findIdleRuns, hasOpenRow } from '../../stores/idle-runs.ts';

/** A run that makes no progress although it should. */
export type StuckRun = Stuck & {
  readonly tenant: string;
  readonly id: string;
  readonly agent: string;
  /** When something was written of it last; where only Temporal points at it, when it was started. */
  readonly movedAt: Date;
};

export type StuckFilter = {
  /** Null for all tenants. */
  readonly tenant: string | null;
  readonly queuePrefix: string;
  /** Most executions that Temporal is asked about. */
  readonly limit: number;
};

export type StuckRuns = {
  readonly stuck: readonly StuckRun[];
  /** Runs without a trace of work that were not looked at, because there are more than the limit. */
  readonly unexamined: number;
};

/** Milliseconds without a trace after which a run is looked at. Work leaves one with each attempt. */
const IDLE_MS = 15_000;

/** Questions to Temporal at once. */
const QUESTIONS_MAX = 5;

type Candidate = Omit<StuckRun, keyof Stuck>;

/**
 * Finds runs that make no progress. The rows tell which leave no trace, Temporal's list which fail or were never admitted; Temporal then
 * says of each what is pending, and that decides. It asks about a bounded number, so that it may run every few seconds.
 */
export async function findStuckRuns(
  { db, ...port }: TemporalPort & { readonly db: Db },
  { tenant, queuePrefix, limit }: StuckFilter,
): Promise<StuckRuns> {
  const taskQueue = `${queuePrefix}-agents`;
  const [suspects, idle] = await Promise.all([
    listSuspects(port, { taskQueue, unadmittedMs: IDLE_MS, limit: limit + 1 }),
    findIdleRuns(db, tenant, { modelQueue: `${queuePrefix}-models`, idleMs: IDLE_MS, limit }),
  ]);
  const candidates = new Map<string, Candidate>();
  for (const { startedAt, ...suspect } of suspects) {
    if (tenant === null || suspect.tenant === tenant) {
      candidates.set(suspect.id, { ...suspect, movedAt: new Date(startedAt) });
    }
  }
  for (const run of idle.runs) candidates.set(run.id, run);
  const examined = [...candidates.values()].slice(0, limit);
  const stuck = await inBatches(examined, async (run) => {
    const movedAt = run.movedAt.getTime();
    const facts = await describeExecution(port, { id: run.id, movedAt, taskQueue });
    const found = facts === null ? null : judgeStuck(facts);
    if (found === null) return [];
    // A run that ended since its row was read is not gone.
    if (found.reason === 'execution-gone' && !(await hasOpenRow(db, run.tenant, run.id))) return [];
    return [{ ...run, ...found }];
  });
  return { stuck: stuck.flat(), unexamined: candidates.size - examined.length + idle.total - idle.runs.length };
}

async function inBatches<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += QUESTIONS_MAX) {
    results.push(...(await Promise.all(items.slice(start, start + QUESTIONS_MAX).map(work))));
  }
  return results;
}
