import { sql } from 'kysely';
import type { Phase } from '../domain/run/phase.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { Blocked } from '../domain/run/run.ts';
import type { RunPlan } from '../domain/run/plan.ts';
import type { Taken } from '../domain/run/taken.ts';
import { appendAudit } from './audit.ts';
import { chainOf, ensureAccounts, type RunAccounts } from './budget-chain.ts';
import type { Db } from './database.ts';
import { cancelDeferredCalls } from './deferred-calls.ts';
import { LruCache } from './lru-cache.ts';

/** What never changes about a run after admission. */
export type RunFacts = {
  readonly id: string;
  readonly agent: string;
  readonly kind: string;
  readonly mode: string;
  readonly release: string;
  /** Scope of the subject: where everything that is said is kept. */
  readonly scope: string;
  /** First run of the lineage; part of every effect key. */
  readonly root: string;
  readonly principal: string;
};

export type NewRun = RunFacts & {
  readonly keyHash: string;
  readonly plan: RunPlan;
  readonly deadlineAt: number;
  /** Head of the transcript that it goes on with. */
  readonly head?: string;
  /** What is above the run's own account. It never changes. */
  readonly accounts?: RunAccounts;
  /** Set where the run takes up another one. */
  readonly retry?: { readonly of: string; readonly taken: Taken };
};

/** A run's plan and end as they stand, and what it took over. */
export type StandingRun = { readonly plan: RunPlan; readonly end: RunEnd | null; readonly taken: Taken | null };

export type RunProgress = {
  readonly phase: Phase;
  readonly turns: number;
  readonly toolCalls: number;
  readonly head: string | null;
  readonly blocked: Blocked | null;
};

/** Runs whose facts a process keeps at hand: every run it works on, and more. */
const CACHED_RUNS_MAX = 5_000;

/** Keeps the rows of runs: a projection of what the workflows know, and what must outlive them. */
export function createRuns(db: Db) {
  const cache = new LruCache<RunFacts>(CACHED_RUNS_MAX);
  const ensured = new LruCache<true>(CACHED_RUNS_MAX);
  return {
    async admit(tenant: string, run: NewRun): Promise<StandingRun> {
      const { accounts } = run.accounts === undefined ? { accounts: [] } : chainOf(tenant, run.agent, run.accounts);
      await ensureAccounts(db, accounts, ensured);
      return admit(db, tenant, run);
    },
    /** Gives a run as it stands; null before its admission. */
    standing: (tenant: string, id: string) => standing(db, tenant, id),
    factsOf: (tenant: string, id: string) => factsOf(db, cache, tenant, id),
    /** Gives how a run ended; null while it goes on, and where it has no row. */
    endOf: (tenant: string, id: string) => endOf(db, tenant, id),
    recordProgress: (tenant: string, id: string, progress: RunProgress) => recordProgress(db, tenant, id, progress),
    recordEnd: (tenant: string, id: string, head: string | null, end: RunEnd, principal: string) =>
      recordEnd(db, tenant, id, head, end, principal),
  };
}

/**
 * Inserts the row of a run, its start key and its budget account in one transaction. Gives what is stored: on a retry, or after the
 * execution was forgotten, that is the earlier row.
 */
async function admit(db: Db, tenant: string, run: NewRun): Promise<StandingRun> {
  return db.transaction().execute(async (tx) => {
    const { keyHash, deadlineAt, plan, retry, accounts, ...rest } = run;
    const inserted = await tx
      .insertInto('runs')
      .values({
        tenant,
        ...rest,
        plan: JSON.stringify(plan),
        phase: 'running',
        deadline_at: new Date(deadlineAt),
        ...(retry === undefined ? {} : retryColumns(retry)),
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 1n) {
      await tx
        .insertInto('start_keys')
        .values({ tenant, kind: run.kind, key_hash: keyHash, run_id: run.id })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      await tx
        .insertInto('budget_accounts')
        .values({ tenant, kind: 'run', id: run.id, cap_pico: plan.limits.costPico, cap_tokens: plan.limits.tokens })
        .execute();
      if (accounts !== undefined) {
        const { id: runId, agent } = run;
        await tx
          .insertInto('run_accounts')
          .values({ tenant, run_id: runId, agent, ...accounts })
          .execute();
      }
      await appendAudit(tx, tenant, {
        principal: run.principal,
        action: 'run.start',
        target: run.id,
        after: {
          agent: run.agent,
          release: run.release,
          mode: run.mode,
          ...(retry === undefined ? {} : { retryOf: retry.of }),
        },
      });
      if (retry !== undefined) {
        await appendAudit(tx, tenant, {
          principal: run.principal,
          action: 'run.retry',
          target: retry.of,
          after: { runId: run.id, fromTurn: retry.taken.turn + 1 },
        });
      }
    }
    const row = await standing(tx, tenant, run.id);
    if (row === null) throw new Error(`run ${run.id} was erased while it was admitted`);
    return row;
  });
}

/** A successor is shown as far as the run that it takes up was. */
function retryColumns({ of, taken }: NonNullable<NewRun['retry']>) {
  return { retry_of: of, taken: JSON.stringify(taken), turns: taken.turn, head: taken.head };
}

async function standing(db: Db, tenant: string, id: string): Promise<StandingRun | null> {
  const row = await db
    .selectFrom('runs')
    .select(['plan', 'run_end', 'taken'])
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : { plan: row.plan, end: row.run_end, taken: row.taken };
}

async function endOf(db: Db, tenant: string, id: string): Promise<RunEnd | null> {
  const row = await db
    .selectFrom('runs')
    .select('run_end')
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.run_end ?? null;
}

/** Gives what never changes about a run. */
async function factsOf(db: Db, cache: LruCache<RunFacts>, tenant: string, id: string): Promise<RunFacts> {
  const cached = cache.get(`${tenant} ${id}`);
  if (cached !== undefined) return cached;
  const row = await db
    .selectFrom('runs')
    .select(['id', 'agent', 'kind', 'mode', 'release', 'scope', 'root', 'principal'])
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) throw new Error(`run ${id} has no row; it was not admitted, or it was erased`);
  cache.set(`${tenant} ${id}`, row, 1);
  return row;
}

/** Writes how far a run is. An ended run stays ended: a late write changes nothing. */
async function recordProgress(db: Db, tenant: string, id: string, progress: RunProgress): Promise<void> {
  await db
    .updateTable('runs')
    .set({
      phase: progress.phase,
      turns: progress.turns,
      tool_calls: progress.toolCalls,
      head: progress.head,
      blocked: progress.blocked === null ? null : JSON.stringify(progress.blocked),
      phase_at: sql<Date>`now()`,
    })
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .where('run_end', 'is', null)
    .execute();
}

/**
 * Writes the end of a run, once, with what its account says it cost: calls that failed or were killed are in it, and the workflow has not
 * heard of them all. Gives the end that stands.
 */
async function recordEnd(
  db: Db,
  tenant: string,
  id: string,
  head: string | null,
  decided: RunEnd,
  principal: string,
): Promise<RunEnd> {
  return db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('runs')
      .select('run_end')
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) return decided;
    if (row.run_end !== null) return row.run_end;
    const end = { ...decided, ...(await usedBy(tx, tenant, id)) };
    await tx
      .updateTable('runs')
      .set({
        phase: 'ended',
        blocked: null,
        turns: end.turns,
        tool_calls: end.toolCalls,
        head,
        run_end: JSON.stringify(end),
        phase_at: sql<Date>`now()`,
        ended_at: sql<Date>`now()`,
      })
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .execute();
    await expireApprovals(tx, tenant, id);
    await cancelDeferredCalls(tx, tenant, id);
    await appendAudit(tx, tenant, { principal, action: 'run.end', target: id, after: end.outcome });
    return end;
  });
}

async function usedBy(tx: Db, tenant: string, id: string): Promise<Pick<RunEnd, 'costPico' | 'tokens'>> {
  const account = await tx
    .selectFrom('budget_accounts')
    .select(['spent_pico', 'spent_tokens'])
    .where('tenant', '=', tenant)
    .where('kind', '=', 'run')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  return { costPico: account.spent_pico, tokens: Number(account.spent_tokens) };
}

/** Nobody is asked for a run that has ended. */
async function expireApprovals(tx: Db, tenant: string, id: string): Promise<void> {
  await tx
    .updateTable('approvals')
    .set({ state: 'expired', decided_by: 'perdure', decided_at: sql<Date>`now()`, reason: 'the run ended' })
    .where('tenant', '=', tenant)
    .where('run_id', '=', id)
    .where('state', '=', 'pending')
    .execute();
}
