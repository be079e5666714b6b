import { sql } from 'kysely';
import type { Db } from './database.ts';
import { type HeldStanding, readHeldStanding } from './held-reader.ts';

/** How things stand in the database, across tenants and without naming any of them. */
export type Standings = {
  /** Runs that have not ended. */
  readonly runs: readonly { readonly agent: string; readonly phase: string; readonly count: number }[];
  readonly pendingApprovals: number;
  /** Zero when none is pending. */
  readonly oldestApprovalSeconds: number;
  readonly unknownEffects: number;
  /** Attempts of the last quarter of an hour whose process died. */
  readonly orphanedAttempts: readonly { readonly kind: string; readonly count: number }[];
  /** Money of calls of which nobody knows what they cost. */
  readonly held: HeldStanding;
};

/** Attempts that began this long ago are looked through for orphans: an alert needs minutes, and the timeline shows all of them. */
const ORPHANS_LOOKBACK_MS = 15 * 60 * 1000;

/** Counts what stands open. Every question is answered by an index of what is open, or by the newest observations alone. */
export async function readStandings(db: Db): Promise<Standings> {
  const runs = await sql<{ agent: string; phase: string; count: number }>`
    select agent, phase, count(*)::int as count from perdure.runs where run_end is null group by agent, phase`.execute(
    db,
  );
  const approvals = await sql<{ count: number; seconds: number }>`
    select count(*)::int as count,
           coalesce(extract(epoch from clock_timestamp() - min(requested_at)), 0)::float8 as seconds
      from perdure.approvals where state = 'pending'`.execute(db);
  const effects = await sql<{ count: number }>`
    select count(*)::int as count from perdure.effects where state = 'unknown'`.execute(db);
  return {
    runs: runs.rows,
    pendingApprovals: approvals.rows[0]?.count ?? 0,
    oldestApprovalSeconds: Math.max(0, approvals.rows[0]?.seconds ?? 0),
    unknownEffects: effects.rows[0]?.count ?? 0,
    orphanedAttempts: await countOrphans(db),
    held: await readHeldStanding(db),
  };
}

/** An attempt is an orphan when it was never closed, and either a later one took its call over or its run has ended. */
async function countOrphans(db: Db): Promise<Standings['orphanedAttempts']> {
  const { rows } = await sql<{ kind: string; count: number }>`
    select o.kind, count(*)::int as count
      from perdure.observations o
      join perdure.runs r on r.tenant = o.tenant and r.id = o.run_id
     where o.opened_at > now() - ${ORPHANS_LOOKBACK_MS} * interval '1 millisecond' and o.closed_at is null
       and (r.run_end is not null or exists (
         select from perdure.observations n
          where n.tenant = o.tenant and n.run_id = o.run_id and n.opened_at > o.opened_at
            and n.kind = o.kind and n.turn = o.turn and n.call_index is not distinct from o.call_index))
     group by o.kind`.execute(db);
  return rows;
}
