import { type Kysely, sql } from 'kysely';

/** A message says which files came with it, so that a run that takes up its run hears them too. Null in older rows. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table perdure.run_messages add column files text[]').execute(db);
}
