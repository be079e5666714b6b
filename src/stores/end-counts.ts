import { sql } from 'kysely';
import { LIMITS } from '../domain/run/limits.ts';
import type { EndsAlike } from '../domain/run/worth.ts';
import type { Db } from './database.ts';

/**
 * Counts how a tenant's newest runs of a release ended, and after how many turns. Conversations and runs that took up another one are left out: their
 * turns are not those of one task.
 */
export async function countEnds(db: Db, tenant: string, release: string): Promise<readonly EndsAlike[]> {
  const { rows } = await sql<EndsAlike>`
    select turns, count(*)::int as runs, run_end->'outcome'->>'kind' as kind, run_end->'outcome'->>'cause' as cause,
      run_end->'outcome' ? 'account' as "isOthers", run_end->'exit'->>'reason' as exit
    from (
      select turns, run_end from perdure.runs
      where tenant = ${tenant} and release = ${release} and ended_at is not null
        and kind = 'single' and mode = 'live' and retry_of is null
      order by ended_at desc limit ${LIMITS.worthRunsMax}
    ) newest
    group by 1, 3, 4, 5, 6`.execute(db);
  return rows;
}
