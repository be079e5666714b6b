import { type Kysely, sql } from 'kysely';

/** A message says where its words are, so that the reply to it can be found by the message's key. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table perdure.run_messages add column if not exists ref text').execute(db);
}
