import { sql } from 'kysely';
import type { UsageDetails } from '../domain/model/usage.ts';
import type { ReceiptAccount, ReceiptAttempt, ReceiptReservation, ReservationState } from '../domain/run/receipt.ts';
import type { RunReceipt } from '../domain/schemas/receipt.ts';
import type { Db } from './database.ts';
import { readRun } from './run-row-reader.ts';

type Row = {
  readonly id: string;
  readonly turn: number;
  readonly call_index: number | null;
  readonly kind: string;
  readonly name: string;
  readonly attempt: number;
  readonly is_newest: boolean;
  readonly worker: string | null;
  readonly opened_at: Date;
  readonly outcome: string | null;
  readonly cause: string | null;
  readonly message: string | null;
  readonly input_tokens: string | null;
  readonly cache_read_tokens: string | null;
  readonly cache_write_tokens: string | null;
  readonly output_tokens: string | null;
  readonly reasoning_tokens: string | null;
  readonly usage_details: UsageDetails | null;
  readonly cost_pico: string | null;
  readonly price_version: string | null;
  readonly is_cost_simulated: boolean | null;
  readonly is_cache_hit: boolean | null;
  readonly reservation_id: string | null;
  readonly reservation_state: ReservationState | null;
  readonly worst_pico: string | null;
  readonly worst_tokens: string | null;
  readonly actual_pico: string | null;
  readonly actual_tokens: string | null;
};

/**
 * Reads what every attempt of a run cost, from the rows alone. One snapshot of the database, so that the rows of a run that goes on agree
 * with one another. Null when there is no such run.
 */
export async function readReceipt(db: Db, tenant: string, runId: string): Promise<RunReceipt | null> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      const run = await readRun(tx, tenant, runId);
      if (run === null) return null;
      const rows = await selectRows(tx, tenant, runId, run.createdAt);
      return {
        run,
        account: await readAccount(tx, tenant, runId),
        attempts: rows.map((row) => toAttempt(row, run.end !== null)),
      };
    });
}

/** Reservations without an attempt are there too: money that nobody can explain must show. */
async function selectRows(db: Db, tenant: string, runId: string, createdAt: Date): Promise<readonly Row[]> {
  const { rows } = await sql<Row>`
    select coalesce(o.id, b.id) as id, coalesce(o.turn, b.turn) as turn, o.call_index,
           coalesce(o.kind, 'unrecorded') as kind, coalesce(o.name, '') as name,
           (row_number() over attempts)::int as attempt, lead(coalesce(o.id, b.id)) over attempts is null as is_newest,
           o.worker, coalesce(o.opened_at, b.opened_at) as opened_at, o.outcome, o.cause, o.message,
           o.input_tokens, o.cache_read_tokens, o.cache_write_tokens, o.output_tokens, o.reasoning_tokens,
           o.usage_details,
           o.cost_pico, o.price_version, o.is_cost_simulated, o.is_cache_hit,
           b.id as reservation_id, b.state as reservation_state, b.worst_pico, b.worst_tokens, b.actual_pico, b.actual_tokens
      from (select * from perdure.observations
             where tenant = ${tenant} and run_id = ${runId}
               and opened_at >= ${createdAt}::timestamptz - interval '1 minute') o
      full join (select * from perdure.budget_reservations
                  where tenant = ${tenant} and run_id = ${runId}) b on b.id = o.reservation
    window attempts as (partition by coalesce(o.kind, 'model'), coalesce(o.turn, b.turn), o.call_index
                        order by coalesce(o.opened_at, b.opened_at), coalesce(o.id, b.id))
     order by coalesce(o.opened_at, b.opened_at), 2, o.call_index nulls first, 1`.execute(db);
  return rows;
}

async function readAccount(db: Db, tenant: string, runId: string): Promise<ReceiptAccount | null> {
  const row = await db
    .selectFrom('budget_accounts')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('kind', '=', 'run')
    .where('id', '=', runId)
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    capPico: row.cap_pico ?? '0',
    spentPico: row.spent_pico,
    spentTokens: Number(row.spent_tokens),
    heldPico: row.held_pico,
    heldTokens: Number(row.held_tokens),
  };
}

function toAttempt(row: Row, hasEnded: boolean): ReceiptAttempt {
  const unclosed = !hasEnded && row.is_newest ? 'open' : 'killed';
  return {
    id: row.id,
    turn: row.turn,
    callIndex: row.call_index,
    kind: row.kind,
    name: row.name,
    attempt: row.attempt,
    worker: row.worker,
    openedAt: row.opened_at,
    outcome: row.is_cache_hit === true ? 'cached' : (row.outcome ?? unclosed),
    cause: row.cause,
    message: row.message,
    inputTokens: toNumber(row.input_tokens),
    cacheReadTokens: toNumber(row.cache_read_tokens),
    cacheWriteTokens: toNumber(row.cache_write_tokens),
    outputTokens: toNumber(row.output_tokens),
    reasoningTokens: toNumber(row.reasoning_tokens),
    ...(row.usage_details === null ? {} : { usageDetails: row.usage_details }),
    costPico: row.cost_pico,
    priceVersion: row.price_version,
    isCostSimulated: row.is_cost_simulated ?? false,
    reservation: toReservation(row),
  };
}

function toReservation(row: Row): ReceiptReservation | null {
  if (row.reservation_id === null || row.reservation_state === null) return null;
  return {
    id: row.reservation_id,
    state: row.reservation_state,
    worstPico: row.worst_pico ?? '0',
    worstTokens: Number(row.worst_tokens ?? 0),
    actualPico: row.actual_pico,
    actualTokens: toNumber(row.actual_tokens),
  };
}

function toNumber(text: string | null): number | null {
  return text === null ? null : Number(text);
}
