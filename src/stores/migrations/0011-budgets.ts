import { type Kysely, sql } from 'kysely';

/**
 * Budgets above the run. A cap may be missing. What such an account has used is counted in a row per period of time, and only while it has
 * a cap: `era` tells the countings of an account apart. A reservation names the counters that it stands on, so that it is settled where it
 * was reserved. Updates of a counter touch no index and find room on their page.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table perdure.budget_accounts
     alter column cap_pico drop not null,
     alter column cap_tokens drop not null,
     add column period text not null default 'total' check (period in ('total', 'day', 'month')),
     add column era integer not null default 0,
     add column is_counted boolean not null default false,
     add column warned_at timestamptz`,
  `create table perdure.budget_counters (
     counter bigint generated always as identity primary key,
     tenant text not null,
     kind text not null,
     id text not null,
     era integer not null,
     begins_at timestamptz not null,
     extra_pico numeric(38, 0) not null default 0,
     extra_tokens bigint not null default 0,
     spent_pico numeric(38, 0) not null default 0,
     spent_tokens bigint not null default 0,
     held_pico numeric(38, 0) not null default 0 check (held_pico >= 0),
     held_tokens bigint not null default 0 check (held_tokens >= 0),
     warned_at timestamptz,
     unique (tenant, kind, id, era, begins_at)) with (fillfactor = 50)`,
  `create table perdure.run_accounts (
     tenant text not null,
     run_id text not null,
     agent text not null,
     person text,
     conversation text,
     waits boolean not null,
     primary key (tenant, run_id))`,
  `create index run_accounts_by_person on perdure.run_accounts (tenant, person)`,
  `create index run_accounts_by_conversation on perdure.run_accounts (tenant, conversation) where conversation is not null`,
  `alter table perdure.budget_reservations add column counters bigint[] not null default '{}'`,
  `create index budget_reservations_open on perdure.budget_reservations (tenant, run_id) where state in ('reserved', 'held')`,
];
