import { type Kysely, sql } from 'kysely';

/** Partitions of what is spread by tenant: enough that one large tenant does not bloat the others' indexes. */
const TENANT_PARTITIONS = 16;

/** Tables of the run: transcript, projection, budgets, effects, approvals, observations and audit. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...TRANSCRIPT, ...RUNS, ...MONEY, ...EFFECTS, ...RECORDS]) {
    await sql.raw(statement).execute(db);
  }
  for (const table of ['segments', 'nodes']) {
    for (let remainder = 0; remainder < TENANT_PARTITIONS; remainder += 1) {
      await sql
        .raw(
          `create table perdure.${table}_${remainder} partition of perdure.${table}
             for values with (modulus ${TENANT_PARTITIONS}, remainder ${remainder})`,
        )
        .execute(db);
    }
  }
}

const TRANSCRIPT = [
  `create table perdure.scopes (
     tenant text not null,
     id text not null,
     secret bytea not null check (octet_length(secret) = 32),
     alg text not null,
     kid text,
     created_at timestamptz not null default now(),
     primary key (tenant, id))`,
  `create table perdure.segments (
     tenant text not null,
     scope text not null,
     address text not null,
     bytes bytea not null,
     alg text not null,
     kid text,
     created_at timestamptz not null default now(),
     primary key (tenant, scope, address)) partition by hash (tenant)`,
  `create table perdure.nodes (
     tenant text not null,
     scope text not null,
     address text not null,
     previous text,
     segments text[] not null,
     depth integer not null,
     content_bytes bigint not null,
     created_at timestamptz not null default now(),
     primary key (tenant, scope, address)) partition by hash (tenant)`,
];

/** A model's reply is paid for, so its column takes every JSON: `jsonb` refuses U+0000 and lone surrogates. */
const RUNS = [
  `create table perdure.releases (
     id text primary key,
     agent text not null,
     body jsonb not null,
     created_at timestamptz not null default now())`,
  `create table perdure.runs (
     tenant text not null,
     id text not null,
     agent text not null,
     kind text not null,
     mode text not null,
     release text not null references perdure.releases (id),
     scope text not null,
     root text not null,
     principal text not null,
     plan jsonb not null,
     phase text not null,
     blocked jsonb,
     turns integer not null default 0,
     tool_calls integer not null default 0,
     head text,
     run_end jsonb,
     deadline_at timestamptz not null,
     created_at timestamptz not null default now(),
     phase_at timestamptz not null default now(),
     ended_at timestamptz,
     primary key (tenant, id))`,
  `create index runs_by_id on perdure.runs (id)`,
  `create index runs_by_age on perdure.runs (tenant, created_at desc)`,
  `create table perdure.start_keys (
     tenant text not null,
     kind text not null,
     key_hash text not null,
     run_id text not null,
     created_at timestamptz not null default now(),
     primary key (tenant, kind, key_hash))`,
  `create table perdure.run_messages (
     tenant text not null,
     run_id text not null,
     id_hash text not null,
     turn integer not null,
     kind text not null,
     principal text not null,
     created_at timestamptz not null default now(),
     primary key (tenant, run_id, id_hash))`,
  `create table perdure.model_replies (
     tenant text not null,
     run_id text not null,
     turn integer not null,
     head text not null,
     answer text,
     result json not null,
     created_at timestamptz not null default now(),
     primary key (tenant, run_id, turn))`,
];

const MONEY = [
  `create table perdure.budget_accounts (
     tenant text not null,
     kind text not null,
     id text not null,
     cap_pico numeric(38, 0) not null,
     cap_tokens bigint not null,
     spent_pico numeric(38, 0) not null default 0,
     spent_tokens bigint not null default 0,
     held_pico numeric(38, 0) not null default 0 check (held_pico >= 0),
     held_tokens bigint not null default 0 check (held_tokens >= 0),
     primary key (tenant, kind, id))`,
  `create table perdure.budget_reservations (
     tenant text not null,
     id text not null,
     run_id text not null,
     turn integer not null,
     state text not null check (state in ('reserved', 'settled', 'held', 'released')),
     worst_pico numeric(38, 0) not null,
     worst_tokens bigint not null,
     actual_pico numeric(38, 0),
     actual_tokens bigint,
     opened_at timestamptz not null default now(),
     closed_at timestamptz,
     primary key (tenant, id))`,
  `create index budget_reservations_by_turn on perdure.budget_reservations (tenant, run_id, turn)`,
];

const EFFECTS = [
  `create table perdure.effects (
     tenant text not null,
     key text not null,
     root text not null,
     run_id text not null,
     turn integer not null,
     call_index integer not null,
     tool text not null,
     contract text not null,
     args_hash text not null,
     state text not null check (state in
       ('intended', 'succeeded', 'failed', 'unknown', 'compensating', 'compensated', 'compensation-unknown')),
     attempt integer not null,
     send_deadline timestamptz not null,
     ref text,
     created_at timestamptz not null default now(),
     settled_at timestamptz,
     primary key (tenant, key))`,
  `create index effects_by_key on perdure.effects (key)`,
  `create index effects_by_run on perdure.effects (tenant, run_id, turn, call_index)`,
  `create index effects_open on perdure.effects (tenant, state) where state in ('intended', 'unknown')`,
  `create table perdure.effect_attempts (
     tenant text not null,
     key text not null,
     attempt integer not null,
     run_id text not null,
     root text not null,
     turn integer not null,
     call_index integer not null,
     args_hash text not null,
     worker text not null,
     outcome text check (outcome in ('succeeded', 'failed', 'not-sent', 'lost', 'never', 'reconciled')),
     message text,
     send_deadline timestamptz not null,
     opened_at timestamptz not null default now(),
     closed_at timestamptz,
     primary key (tenant, key, attempt))`,
  `create index effect_attempts_by_position on perdure.effect_attempts (tenant, root, turn, call_index)`,
  `create table perdure.approvals (
     tenant text not null,
     id text not null,
     run_id text not null,
     turn integer not null,
     call_index integer not null,
     tool text not null,
     args_hash text not null,
     args_ref text not null,
     rule text not null,
     release text not null,
     state text not null check (state in ('pending', 'approved', 'rejected', 'expired', 'responded')),
     on_expiry text not null,
     requested_at timestamptz not null default now(),
     deadline_at timestamptz not null,
     decided_by text,
     decided_at timestamptz,
     message_id text,
     reason text,
     approved_hash text,
     approved_ref text,
     result_ref text,
     primary key (tenant, id))`,
  `create index approvals_by_id on perdure.approvals (id)`,
  `create index approvals_by_run on perdure.approvals (tenant, run_id)`,
  `create index approvals_pending on perdure.approvals (tenant, deadline_at) where state = 'pending'`,
];

const RECORDS = [
  `create table perdure.observations (
     id text not null,
     tenant text not null,
     run_id text not null,
     turn integer not null,
     call_index integer,
     kind text not null,
     name text not null,
     release text not null,
     attempt integer not null,
     worker text not null,
     outcome text,
     cause text,
     message text,
     model text,
     input_tokens bigint,
     output_tokens bigint,
     cache_read_tokens bigint,
     cache_write_tokens bigint,
     reasoning_tokens bigint,
     cost_pico numeric(38, 0),
     price_version text,
     is_cost_simulated boolean,
     is_cache_hit boolean not null default false,
     reservation text,
     ref text,
     opened_at timestamptz not null,
     closed_at timestamptz,
     primary key (opened_at, id)) partition by range (opened_at)`,
  `create index observations_by_run on perdure.observations (tenant, run_id, opened_at)`,
  `create table perdure.audit (
     tenant text not null,
     seq bigint generated always as identity,
     at timestamptz not null default clock_timestamp(),
     principal text not null,
     action text not null,
     target text not null,
     before jsonb,
     after jsonb,
     primary key (tenant, seq))`,
];
