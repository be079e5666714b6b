import { type Kysely, sql } from 'kysely';

/**
 * Observations say what few models count, such as what the cache keeps for an hour, sound and pictures: with it the price of an attempt can be
 * computed again from its row. Null in older rows, and where there is none of it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table perdure.observations add column usage_details jsonb').execute(db);
}
