import { type Kysely, sql } from 'kysely';

/**
 * Index of the runs that have not ended: whoever watches reads them four times a minute, and they are few among all. Its condition changes
 * once in a run's life, so that phase changes touch no index.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`create index runs_open on perdure.runs (created_at) where run_end is null`).execute(db);
}
