import { sql } from 'kysely';
import type { JsonValue } from '../domain/json.ts';
import type { Taken } from '../domain/run/taken.ts';
import type { TimelineEntry } from '../domain/schemas/run-records.ts';
import type { Db } from './database.ts';

type Row = {
  readonly id: string;
  readonly turn: number;
  readonly call_index: number | null;
  readonly kind: 'model' | 'tool' | 'compact';
  readonly name: string;
  readonly args: JsonValue;
  readonly worker: string;
  readonly outcome: string | null;
  readonly cause: string | null;
  readonly message: string | null;
  readonly input_tokens: string | null;
  readonly output_tokens: string | null;
  readonly cache_read_tokens: string | null;
  readonly cache_write_tokens: string | null;
  readonly tier: string | null;
  readonly fallback: string | null;
  readonly cost_pico: string | null;
  readonly held_pico: string | null;
  readonly is_cost_simulated: boolean | null;
  readonly opened_at: Date;
  readonly closed_at: Date | null;
};

/**
 * Lists every attempt of a run in the order they began. One that was never closed belongs to a process that died, unless it is the newest
 * attempt at its call and the run goes on.
 */
export async function readTimeline(db: Db, tenant: string, runId: string): Promise<readonly TimelineEntry[]> {
  const run = await db
    .selectFrom('runs')
    .select(['run_end', 'created_at', 'taken'])
    .where('tenant', '=', tenant)
    .where('id', '=', runId)
    .executeTakeFirst();
  if (run === undefined) return [];
  // The run's age bounds the weekly partitions that are read; a minute covers clocks that differ.
  const { rows } = await sql<Row>`
    select o.id, o.turn, o.call_index, o.kind, o.name, o.worker, o.outcome, o.cause, o.message, o.input_tokens, o.output_tokens,
           o.cache_read_tokens, o.cache_write_tokens, o.tier, o.fallback, coalesce(o.cost_pico, case when b.state = 'settled' then b.actual_pico end) as cost_pico,
           o.is_cost_simulated, o.opened_at, o.closed_at,
           m.result -> 'calls' -> o.call_index -> 'args' as args,
           case when b.state in ('held', 'reserved') then b.worst_pico end as held_pico
      from perdure.observations o
      left join perdure.budget_reservations b on b.tenant = o.tenant and b.id = o.reservation
      left join perdure.model_replies m on m.tenant = o.tenant and m.run_id = o.run_id and m.turn = o.turn and o.kind = 'tool'
     where o.tenant = ${tenant} and o.run_id = ${runId}
       and o.opened_at >= ${run.created_at}::timestamptz - interval '1 minute'
     order by o.opened_at, o.turn, o.call_index nulls first, o.id`.execute(db);
  return toEntries(
    rows.map((row) => ({ ...row, args: row.args ?? takenArguments(run.taken, row) })),
    run.run_end !== null,
  );
}

/** A run that takes up another one makes calls that a reply of the other one asked for. */
function takenArguments(taken: Taken | null, { kind, turn, call_index: index }: Row): JsonValue {
  if (taken === null || kind !== 'tool' || turn !== taken.turn) return null;
  const call = taken.calls.find((each) => each.index === index);
  return call !== undefined && 'args' in call ? call.args : null;
}

function toEntries(rows: readonly Row[], hasEnded: boolean): readonly TimelineEntry[] {
  const attempts = new Map<string, number>();
  const newest = new Map(rows.map((row) => [callOf(row), row.id]));
  return rows.map((row) => {
    const attempt = (attempts.get(callOf(row)) ?? 0) + 1;
    attempts.set(callOf(row), attempt);
    const isOpen = row.closed_at === null && !hasEnded && newest.get(callOf(row)) === row.id;
    return toEntry(row, attempt, row.outcome ?? (isOpen ? 'open' : 'killed'));
  });
}

function toEntry(row: Row, attempt: number, outcome: string): TimelineEntry {
  return {
    id: row.id,
    turn: row.turn,
    callIndex: row.call_index,
    kind: row.kind,
    name: row.name,
    args: row.args,
    attempt,
    worker: row.worker,
    openedAt: row.opened_at,
    closedAt: row.closed_at,
    durationMs: row.closed_at === null ? null : row.closed_at.getTime() - row.opened_at.getTime(),
    outcome,
    cause: row.cause,
    message: row.message,
    inputTokens: toNumber(row.input_tokens),
    outputTokens: toNumber(row.output_tokens),
    cacheReadTokens: toNumber(row.cache_read_tokens),
    cacheWriteTokens: toNumber(row.cache_write_tokens),
    tier: row.tier,
    fallback: row.fallback,
    costPico: row.cost_pico,
    heldPico: row.held_pico,
    isCostSimulated: row.is_cost_simulated ?? false,
  };
}

function callOf({ turn, call_index: index, kind }: Row): string {
  return `${kind} ${turn} ${index ?? ''}`;
}

function toNumber(text: string | null): number | null {
  return text === null ? null : Number(text);
}
