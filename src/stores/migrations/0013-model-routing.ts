import { type Kysely, sql } from 'kysely';

/**
 * One breaker for each model and the server that is asked for it: whether it is called, and what its newest calls gave. They belong to no tenant: a provider that
 * fails does so for all. Observations say for which tier a model was asked, and in place of which model. Null in older rows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql
    .raw(
      `create table perdure.model_breakers (
         model text not null,
         server text not null,
         status text not null,
         state jsonb not null,
         since timestamptz not null default now(),
         half_open_at timestamptz,
         probe text,
         probe_until timestamptz,
         primary key (model, server)
       )`,
    )
    .execute(db);
  await sql.raw('alter table perdure.observations add column tier text, add column fallback text').execute(db);
}
