import { sql } from 'kysely';
import type { TemporalPort } from '../../runtime/queue-pollers.ts';
import type { Db } from '../../stores/database.ts';

/** What a worker process lacks to do its work; nothing when it is ready. */
export type Missing = {
  readonly what: 'workers' | 'database' | 'temporal' | 'running';
  readonly problem: string;
};

/** The part of a worker that says whether it works. */
export type Polling = { readonly getState: () => string; readonly options: { readonly taskQueue: string } };

/** Milliseconds in which database and Temporal must answer: longer waits are what readiness is about. */
const READY_ANSWER_MS = 2_000;

/** Milliseconds for which an answer holds, so that nobody can load the servers by asking. */
const READY_HOLDS_MS = 1_000;

export type Readiness = {
  /** Lists what is missing. */
  readonly missing: () => Promise<readonly Missing[]>;
  /** From now on the process is not ready: it takes no new work. */
  readonly stop: () => void;
};

/** Watches whether a process does its work: its workers poll, the database answers, Temporal answers. */
export function createReadiness(
  { db, ...port }: TemporalPort & { readonly db: Db },
  workers: readonly Polling[],
): Readiness {
  let isStopping = false;
  let last: { readonly at: number; readonly missing: Promise<readonly Missing[]> } | null = null;
  return {
    missing: async () => {
      if (isStopping) return [{ what: 'running', problem: 'the process is shutting down and takes no new work' }];
      if (last === null || performance.now() - last.at > READY_HOLDS_MS) {
        last = { at: performance.now(), missing: askAll(port, db) };
      }
      return [...idleWorkers(workers), ...(await last.missing)];
    },
    stop: () => {
      isStopping = true;
    },
  };
}

function idleWorkers(workers: readonly Polling[]): readonly Missing[] {
  return workers
    .filter((worker) => worker.getState() !== 'RUNNING')
    .map((worker) => ({
      what: 'workers',
      problem: `the worker of ${worker.options.taskQueue} is ${worker.getState().toLowerCase()}`,
    }));
}

async function askAll({ connection, namespace }: TemporalPort, db: Db): Promise<readonly Missing[]> {
  const found = await Promise.all([
    problemOf('database', () => sql`select 1`.execute(db)),
    problemOf('temporal', () =>
      connection.withDeadline(Date.now() + READY_ANSWER_MS, () =>
        connection.workflowService.describeNamespace({ namespace }),
      ),
    ),
  ]);
  return found.filter((missing) => missing !== null);
}

async function problemOf(what: 'database' | 'temporal', ask: () => Promise<unknown>): Promise<Missing | null> {
  const late = Promise.withResolvers<Missing>();
  const timer = setTimeout(
    () => late.resolve({ what, problem: `it did not answer within ${READY_ANSWER_MS / 1_000} s` }),
    READY_ANSWER_MS,
  );
  try {
    return await Promise.race([ask().then(() => null), late.promise]);
  } catch (error) {
    // Messages of drivers may name users and hosts; logs have them, an open endpoint does not.
    const { code = 'no code' } = error as { readonly code?: string | number };
    return { what, problem: `it does not answer (${code})` };
  } finally {
    clearTimeout(timer);
  }
}
