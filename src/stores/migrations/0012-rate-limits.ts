import { type Kysely, sql } from 'kysely';

/**
 * Rates of provider credentials. `rate_limits` has one row per credential: the limit in force, and what was let through. It is written by every
 * model call under a limit, so that pages keep room for the next version of the row.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql
    .raw(
      `create table perdure.rate_limits (
         credential text primary key,
         subject text not null,
         rate_limit jsonb not null,
         state jsonb not null,
         declared_at timestamptz not null,
         used_at timestamptz not null default now()
       ) with (fillfactor = 20)`,
    )
    .execute(db);
  await sql
    .raw(
      `create table perdure.rate_waiters (
         credential text not null,
         tenant text not null,
         id text not null,
         run_id text not null,
         requests double precision not null,
         tokens double precision not null,
         since timestamptz not null,
         expires_at timestamptz not null,
         primary key (credential, tenant, id)
       )`,
    )
    .execute(db);
  await sql.raw(`create index rate_waiters_run on perdure.rate_waiters (tenant, run_id)`).execute(db);
  await sql
    .raw(`create table perdure.tenant_weights (tenant text primary key, weight double precision not null)`)
    .execute(db);
}
