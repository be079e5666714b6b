import { sql } from 'kysely';
import type { Db } from './database.ts';

/** A run at work of which nothing was written for a while. */
export type IdleRun = {
  readonly tenant: string;
  readonly id: string;
  readonly agent: string;
  /** When its row changed, or when its newest attempt was opened or closed. */
  readonly movedAt: Date;
};

export type IdleFilter = {
  /** Queue of the model calls that the runs were admitted with: it tells those of other workers on the same database apart. */
  readonly modelQueue: string;
  /** Milliseconds without a trace. */
  readonly idleMs: number;
  readonly limit: number;
};

/**
 * Finds runs that should be at work and leave no trace. Those whose newest attempt is over come first: something must follow it at once.
 * Among equals chance decides, so that each has its turn where there are more than the limit.
 *
 * @returns the runs, and how many there are in all.
 */
export async function findIdleRuns(
  db: Db,
  tenant: string | null,
  { modelQueue, idleMs, limit }: IdleFilter,
): Promise<{ readonly runs: readonly IdleRun[]; readonly total: number }> {
  const { rows } = await sql<IdleRun & { readonly total: number }>`
    select r.tenant, r.id, r.agent, moved.at as "movedAt", count(*) over ()::int as total
      from perdure.runs r
      left join lateral (
        select o.opened_at, o.closed_at from perdure.observations o
         where o.tenant = r.tenant and o.run_id = r.id and o.opened_at >= r.created_at - interval '1 minute'
         order by o.opened_at desc limit 1) newest on true
      cross join lateral (select greatest(r.phase_at, newest.opened_at, newest.closed_at) as at) moved
     where r.run_end is null and r.phase = 'running' and r.plan ->> 'modelQueue' = ${modelQueue}
       and (${tenant}::text is null or r.tenant = ${tenant})
       and moved.at < now() - ${idleMs} * interval '1 millisecond'
       and not exists (
         select 1 from perdure.rate_waiters w where w.tenant = r.tenant and w.run_id = r.id and w.expires_at > now())
     order by (newest.opened_at is not null and newest.closed_at is null), random()
     limit ${limit}`.execute(db);
  const runs = rows.map(({ total: _total, ...run }) => run);
  return { runs, total: rows[0]?.total ?? 0 };
}

/** Tells whether the row of a run is there and says that it has not ended. */
export async function hasOpenRow(db: Db, tenant: string, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('runs')
    .select('id')
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .where('run_end', 'is', null)
    .executeTakeFirst();
  return row !== undefined;
}
