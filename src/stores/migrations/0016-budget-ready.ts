import { type Kysely, sql } from 'kysely';

/** Says of an account with a cap whether all that was used before is counted: a cap that was just set binds at once, and is exact once this is true. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table perdure.budget_accounts add column is_ready boolean not null default true').execute(db);
}
