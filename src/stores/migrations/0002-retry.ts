import { type Kysely, sql } from 'kysely';

/**
 * What taking up an ended run needs: where each perceived message was written, whom a run takes up, and what it took over. All of it is
 * null in older rows, and the build before does not see it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of RETRY) await sql.raw(statement).execute(db);
}

const RETRY = [
  `alter table perdure.run_messages add column ref text`,
  `alter table perdure.runs add column retry_of text, add column taken json`,
  `create index runs_by_predecessor on perdure.runs (tenant, retry_of) where retry_of is not null`,
];
