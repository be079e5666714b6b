import { type Kysely, sql } from 'kysely';

/** Index of a release's ended runs, the newest first: admission looks at how they ended. Phase changes touch it once, at the end. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql
    .raw(`create index runs_by_end on perdure.runs (tenant, release, ended_at desc) where ended_at is not null`)
    .execute(db);
}
