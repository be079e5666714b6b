import { sql } from 'kysely';
import type { Db } from './database.ts';

/**
 * Counts the calls of recorded models that a run has heard of, by turn. One whose process ended before it could say what came is not among
 * them: nobody has heard it, so it is played again.
 */
export async function countPlayedCalls(db: Db, tenant: string, runId: string): Promise<ReadonlyMap<number, number>> {
  const { rows } = await sql<{ readonly turn: number; readonly calls: string }>`
    select o.turn, count(*) as calls
      from perdure.runs r
      join perdure.observations o on o.tenant = r.tenant and o.run_id = r.id and o.opened_at >= r.created_at - interval '1 minute'
     where r.tenant = ${tenant} and r.id = ${runId} and o.name like 'recorded:%' and o.reservation is not null
       and o.kind in ('model', 'compact') and o.outcome in ('replied', 'summarised', 'failed')
     group by o.turn`.execute(db);
  return new Map(rows.map(({ turn, calls }) => [turn, Number(calls)]));
}
