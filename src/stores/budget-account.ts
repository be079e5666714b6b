import { sql } from 'kysely';
import type { Balance } from '../domain/policy/budget.ts';
import type { RunTotal } from '../domain/run/results.ts';
import type { Db } from './database.ts';

/** What calls of a run hold of its budget because nobody knows whether they were paid. */
export type Held = { readonly calls: number; readonly heldPico: bigint; readonly heldTokens: number };

/** What an attempt is known to have cost: `settled` by the provider's own count, `free` when nothing was charged, else `held`. */
export type Charge =
  | { readonly kind: 'settled'; readonly costPico: bigint; readonly tokens: number }
  | { readonly kind: 'free' }
  | { readonly kind: 'held' };

/** A run, wherever it is asked about many at once. */
export type RunKey = { readonly tenant: string; readonly runId: string };

/** What moves on the account of a run; negative amounts free what was held. */
export type RunMove = RunKey & {
  readonly spentPico: bigint;
  readonly spentTokens: bigint;
  readonly heldPico: bigint;
  readonly heldTokens: bigint;
};

type Row = {
  readonly tenant: string;
  readonly id: string;
  readonly cap_pico: string | null;
  readonly cap_tokens: string | null;
  readonly spent_pico: string;
  readonly spent_tokens: string;
  readonly held_pico: string;
  readonly held_tokens: string;
};

/** A balance, and whether people were told that it is nearly used up. */
export type WatchedBalance = Balance & { readonly isWarned: boolean };

/** Names a run among those of a batch. */
export function keyOf({ tenant, runId }: RunKey): string {
  return `${tenant} ${runId}`;
}

/**
 * Locks the accounts of runs, in one order whoever asks: whoever moves the money of a run waits here. A run without an account is missing
 * from the answer. The shared advisory lock costs a look into memory; it lets `beginCounting` see that every transaction before it is over.
 */
export async function lockRuns(tx: Db, runs: readonly RunKey[]): Promise<ReadonlyMap<string, WatchedBalance>> {
  // A statement of its own: the ones after it then see what was committed while this one waited.
  await sql`select pg_advisory_xact_lock_shared(${sql.lit(COUNTING_LOCK)}),
                   set_config('idle_in_transaction_session_timeout', ${String(IDLE_MS)}, true)`.execute(tx);
  const { rows } = await sql<Row & { readonly is_warned: boolean }>`
    select a.tenant, a.id, a.cap_pico, a.cap_tokens, a.spent_pico, a.spent_tokens, a.held_pico, a.held_tokens,
           a.warned_at is not null as is_warned
      from perdure.budget_accounts a
     where a.kind = 'run'
       and (a.tenant, a.id) in (
         select * from unnest(${runs.map(({ tenant }) => tenant)}::text[], ${runs.map(({ runId }) => runId)}::text[]))
     order by a.tenant, a.id
       for update`.execute(tx);
  return new Map(
    rows.map((row) => [keyOf({ tenant: row.tenant, runId: row.id }), { ...balanceOf(row), isWarned: row.is_warned }]),
  );
}

/** Milliseconds that a process may stop between two statements: it may hold the row that every call wants. A process that lives is back sooner. */
const IDLE_MS = 5_000;

/** Any number that nothing else in the database locks: "budgets" in ASCII, less its last letter. */
export const COUNTING_LOCK = 0x627564676574;

/** Makes the failure of work for a run that has no account. */
export function accountMissing(runId: string): Error {
  return new Error(`run ${runId} has no budget account; it was not admitted, or it was erased`);
}

/** Reads the columns of an account, as PostgreSQL gives them. */
export function balanceOf(row: Omit<Row, 'tenant' | 'id'>): Balance {
  return {
    capPico: row.cap_pico === null ? null : BigInt(row.cap_pico),
    capTokens: row.cap_tokens === null ? null : BigInt(row.cap_tokens),
    spentPico: BigInt(row.spent_pico),
    spentTokens: BigInt(row.spent_tokens),
    heldPico: BigInt(row.held_pico),
    heldTokens: BigInt(row.held_tokens),
  };
}

/** Gives what a run has used, as its account says. */
export function totalOf({ spentPico, spentTokens }: Balance): RunTotal {
  return { costPico: String(spentPico), tokens: Number(spentTokens) };
}

/** Adds a move to a balance, as `moveRuns` does to the row. */
export function moved<Moved extends Balance>(balance: Moved, move: Omit<RunMove, keyof RunKey>): Moved {
  return {
    ...balance,
    spentPico: balance.spentPico + move.spentPico,
    spentTokens: balance.spentTokens + move.spentTokens,
    heldPico: balance.heldPico + move.heldPico,
    heldTokens: balance.heldTokens + move.heldTokens,
  };
}

/** Moves what accounts of runs have spent and hold. They are locked before. */
export async function moveRuns(tx: Db, moves: readonly RunMove[]): Promise<void> {
  if (moves.length === 0) return;
  await sql`
    update perdure.budget_accounts a
       set spent_pico = a.spent_pico + m.spent_pico, spent_tokens = a.spent_tokens + m.spent_tokens,
           held_pico = a.held_pico + m.held_pico, held_tokens = a.held_tokens + m.held_tokens
      from (select tenant, id, sum(spent_pico) as spent_pico, sum(spent_tokens)::bigint as spent_tokens,
                   sum(held_pico) as held_pico, sum(held_tokens)::bigint as held_tokens
              from unnest(${moves.map((each) => each.tenant)}::text[], ${moves.map((each) => each.runId)}::text[],
                          ${moves.map((each) => String(each.spentPico))}::numeric[],
                          ${moves.map((each) => String(each.spentTokens))}::bigint[],
                          ${moves.map((each) => String(each.heldPico))}::numeric[],
                          ${moves.map((each) => String(each.heldTokens))}::bigint[])
                   as u (tenant, id, spent_pico, spent_tokens, held_pico, held_tokens)
             group by tenant, id) m
     where a.tenant = m.tenant and a.kind = 'run' and a.id = m.id`.execute(tx);
}

/** Counts what calls of a run hold that have no answer. */
export async function countHeld(tx: Db, { tenant, runId }: RunKey, balance: Balance): Promise<Held> {
  const { calls } = await tx
    .selectFrom('budget_reservations')
    .select(sql<string>`count(*)`.as('calls'))
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('state', 'in', ['reserved', 'held'])
    .executeTakeFirstOrThrow();
  return { calls: Number(calls), heldPico: balance.heldPico, heldTokens: Number(balance.heldTokens) };
}
