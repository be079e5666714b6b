import { type Kysely, sql } from 'kysely';

/** Calls of deferred tools, whose results come from outside. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of DEFERRED_CALLS) await sql.raw(statement).execute(db);
}

/** `beginning` is a call whose tool has its token and has not returned; `cancelled` one whose run ended first. */
const DEFERRED_CALLS = [
  `create table perdure.deferred_calls (
     tenant text not null,
     token text not null,
     run_id text not null,
     turn integer not null,
     call_index integer not null,
     tool text not null,
     state text not null check (state in
       ('beginning', 'waiting', 'completed', 'failed', 'invalid', 'expired', 'cancelled')),
     note_ref text,
     created_at timestamptz not null default clock_timestamp(),
     deadline_at timestamptz not null,
     completed_by text,
     completed_at timestamptz,
     message_id text,
     result_ref text,
     primary key (tenant, run_id, turn, call_index))`,
  `create unique index deferred_calls_by_token on perdure.deferred_calls (tenant, token)`,
  `create index deferred_calls_waiting on perdure.deferred_calls (tenant, deadline_at) where state = 'waiting'`,
];
