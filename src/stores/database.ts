import { Kysely, PostgresDialect, type Generated, type JSONColumnType, type ColumnType } from 'kysely';
import { Pool } from 'pg';
import type { UsageDetails } from '../domain/model/usage.ts';
import type { RateLimit } from '../domain/quota/rate-limit.ts';
import type { RateState } from '../domain/quota/rate-limiter.ts';
import type { Release } from '../domain/release/release.ts';
import type { ModelResult } from '../domain/run/results.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { RunPlan } from '../domain/run/plan.ts';
import type { Blocked } from '../domain/run/run.ts';
import type { Taken } from '../domain/run/taken.ts';

/** PostgreSQL gives numeric and bigint as text; both are written as text too. */
type Whole = ColumnType<string, string | number | bigint, string | number | bigint>;
type DefaultWhole = ColumnType<string, string | number | bigint | undefined, string | number | bigint>;
type Moment = ColumnType<Date, Date | string, Date | string>;
type DefaultMoment = ColumnType<Date, Date | string | undefined, Date | string>;
type Json<T extends object | null> = JSONColumnType<T>;

type AttemptOutcome = 'succeeded' | 'failed' | 'not-sent' | 'lost' | 'never' | 'reconciled';
export type EffectState =
  'intended' | 'succeeded' | 'failed' | 'unknown' | 'compensating' | 'compensated' | 'compensation-unknown';
/** `waiting` alone takes a result; `invalid` is one that the tool's output schema refused. */
export type DeferredState = 'beginning' | 'waiting' | 'completed' | 'failed' | 'invalid' | 'expired' | 'cancelled';
export type ApprovalState = 'pending' | 'approved' | 'rejected' | 'expired' | 'responded';

/** The tables, as the newest migration leaves them. */
export type Database = {
  scopes: { tenant: string; id: string; secret: Buffer; alg: string; kid: string | null; created_at: DefaultMoment };
  segments: {
    tenant: string;
    scope: string;
    address: string;
    bytes: Buffer;
    alg: string;
    kid: string | null;
    created_at: DefaultMoment;
  };
  nodes: {
    tenant: string;
    scope: string;
    address: string;
    previous: string | null;
    segments: string[];
    depth: number;
    content_bytes: Whole;
    replaces_from: string | null;
    replaces_to: string | null;
    created_at: DefaultMoment;
  };
  releases: { id: string; agent: string; body: Json<Release>; created_at: DefaultMoment };
  runs: {
    tenant: string;
    id: string;
    agent: string;
    kind: string;
    mode: string;
    release: string;
    scope: string;
    root: string;
    principal: string;
    plan: Json<RunPlan>;
    phase: string;
    blocked: Json<Blocked> | null;
    turns: Generated<number>;
    tool_calls: Generated<number>;
    head: string | null;
    run_end: Json<RunEnd> | null;
    deadline_at: Moment;
    created_at: DefaultMoment;
    phase_at: DefaultMoment;
    ended_at: Moment | null;
    retry_of: string | null;
    taken: Json<Taken> | null;
  };
  start_keys: { tenant: string; kind: string; key_hash: string; run_id: string; created_at: DefaultMoment };
  run_messages: {
    tenant: string;
    run_id: string;
    id_hash: string;
    turn: number;
    kind: string;
    principal: string;
    ref: string | null;
    files: string[] | null;
    created_at: DefaultMoment;
  };
  model_replies: {
    tenant: string;
    run_id: string;
    turn: number;
    head: string;
    answer: string | null;
    result: Json<StoredReply>;
    created_at: DefaultMoment;
  };
  summaries: { tenant: string; run_id: string; key: string; ref: string; created_at: DefaultMoment };
  budget_accounts: {
    tenant: string;
    kind: string;
    id: string;
    cap_pico: Whole | null;
    cap_tokens: Whole | null;
    spent_pico: DefaultWhole;
    spent_tokens: DefaultWhole;
    held_pico: DefaultWhole;
    held_tokens: DefaultWhole;
    period: Generated<'total' | 'day' | 'month'>;
    era: Generated<number>;
    is_counted: Generated<boolean>;
    is_ready: Generated<boolean>;
    warned_at: Moment | null;
  };
  budget_counters: {
    counter: Generated<string>;
    tenant: string;
    kind: string;
    id: string;
    era: number;
    begins_at: Moment;
    extra_pico: DefaultWhole;
    extra_tokens: DefaultWhole;
    spent_pico: DefaultWhole;
    spent_tokens: DefaultWhole;
    held_pico: DefaultWhole;
    held_tokens: DefaultWhole;
    warned_at: Moment | null;
  };
  run_accounts: {
    tenant: string;
    run_id: string;
    agent: string;
    person: string | null;
    conversation: string | null;
    waits: boolean;
  };
  budget_reservations: {
    tenant: string;
    id: string;
    run_id: string;
    turn: number;
    summary_key: string | null;
    state: 'reserved' | 'settled' | 'held' | 'released';
    worst_pico: Whole;
    worst_tokens: Whole;
    actual_pico: Whole | null;
    actual_tokens: Whole | null;
    opened_at: DefaultMoment;
    closed_at: Moment | null;
    counters: Generated<string[]>;
  };
  effects: {
    tenant: string;
    key: string;
    root: string;
    run_id: string;
    turn: number;
    call_index: number;
    tool: string;
    contract: string;
    args_hash: string;
    state: EffectState;
    attempt: number;
    send_deadline: Moment;
    ref: string | null;
    created_at: DefaultMoment;
    settled_at: Moment | null;
  };
  effect_attempts: {
    tenant: string;
    key: string;
    attempt: number;
    run_id: string;
    root: string;
    turn: number;
    call_index: number;
    args_hash: string;
    worker: string;
    outcome: AttemptOutcome | null;
    message: string | null;
    send_deadline: Moment;
    opened_at: DefaultMoment;
    closed_at: Moment | null;
  };
  approvals: {
    tenant: string;
    id: string;
    run_id: string;
    turn: number;
    call_index: number;
    tool: string;
    args_hash: string;
    args_ref: string;
    rule: string;
    release: string;
    state: ApprovalState;
    on_expiry: string;
    requested_at: DefaultMoment;
    deadline_at: Moment;
    decided_by: string | null;
    decided_at: Moment | null;
    message_id: string | null;
    reason: string | null;
    approved_hash: string | null;
    approved_ref: string | null;
    result_ref: string | null;
  };
  deferred_calls: {
    tenant: string;
    token: string;
    run_id: string;
    turn: number;
    call_index: number;
    tool: string;
    state: DeferredState;
    note_ref: string | null;
    created_at: DefaultMoment;
    deadline_at: Moment;
    completed_by: string | null;
    completed_at: Moment | null;
    message_id: string | null;
    result_ref: string | null;
  };
  model_breakers: {
    model: string;
    server: string;
    status: 'closed' | 'open';
    state: Json<object>;
    since: DefaultMoment;
    half_open_at: Moment | null;
    probe: string | null;
    probe_until: Moment | null;
  };
  observations: {
    id: string;
    tenant: string;
    run_id: string;
    turn: number;
    call_index: number | null;
    kind: string;
    name: string;
    release: string;
    attempt: number;
    worker: string;
    outcome: string | null;
    cause: string | null;
    message: string | null;
    model: string | null;
    input_tokens: Whole | null;
    output_tokens: Whole | null;
    cache_read_tokens: Whole | null;
    cache_write_tokens: Whole | null;
    reasoning_tokens: Whole | null;
    usage_details: Json<UsageDetails> | null;
    cost_pico: Whole | null;
    price_version: string | null;
    is_cost_simulated: boolean | null;
    is_cache_hit: Generated<boolean>;
    reservation: string | null;
    ref: string | null;
    tier: string | null;
    fallback: string | null;
    opened_at: Moment;
    closed_at: Moment | null;
  };
  stream_chunks: {
    tenant: string;
    run_id: string;
    turn: number;
    attempt: Whole;
    sequence: number;
    bytes: Buffer;
    alg: string;
    kid: string | null;
    at: DefaultMoment;
  };
  audit: {
    tenant: string;
    seq: Generated<string>;
    at: DefaultMoment;
    principal: string;
    action: string;
    target: string;
    before: Json<object> | null;
    after: Json<object> | null;
  };
  rate_limits: {
    credential: string;
    subject: string;
    rate_limit: Json<RateLimit>;
    state: Json<RateState>;
    declared_at: Moment;
    used_at: DefaultMoment;
  };
  rate_waiters: {
    credential: string;
    tenant: string;
    id: string;
    run_id: string;
    requests: number;
    tokens: number;
    since: Moment;
    expires_at: Moment;
  };
  tenant_weights: { tenant: string; weight: number };
};

/** A model's reply as it is kept: what the workflow gets, less the running total. */
export type StoredReply = Omit<ModelResult & { kind: 'replied' }, 'total'>;

export type Db = Kysely<Database>;

/** Ten connections serve a process: no transaction spans a provider or tool call, so each is held for milliseconds. */
const CONNECTIONS_MAX = 10;

/**
 * Opens the database. Connections are made when they are needed; one that breaks while idle is dropped and reported to `onError`.
 *
 * @param url `postgres://user:password@host:port/database`
 */
export function openDatabase(url: string, onError: (error: Error) => void): Db {
  return openDatabasePool(url, onError).db;
}

/** Connections of a process: all, those that nobody uses, and requests that wait for one. */
export type PoolUse = { readonly total: number; readonly idle: number; readonly waiting: number };

/** Does the same, and tells how its connections are used. */
export function openDatabasePool(
  url: string,
  onError: (error: Error) => void,
): { readonly db: Db; readonly poolUse: () => PoolUse } {
  const pool = new Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    // A server that does not answer is reported as such before a heartbeat is missed by much.
    connectionTimeoutMillis: 5_000,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
  });
  pool.on('error', onError);
  // The pool listens to idle connections only. One that breaks between two statements of a transaction would end the process; the next
  // statement says what happened.
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
  });
  return {
    db: new Kysely<Database>({ dialect: new PostgresDialect({ pool }) }).withSchema('perdure'),
    poolUse: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
  };
}
