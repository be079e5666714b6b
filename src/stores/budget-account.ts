import { sql } from 'kysely';
import type { RunTotal } from '../domain/run/results.ts';
import type { Dimension } from '../domain/run/run-end.ts';
import type { Db } from './database.ts';

/** What calls of a run hold of its budget because nobody knows whether they were paid. */
export type Held = { readonly calls: number; readonly heldPico: bigint; readonly heldTokens: number };

/** What an attempt is known to have cost: `settled` by the provider's own count, `free` when nothing was charged, else `held`. */
export type Charge =
  | { readonly kind: 'settled'; readonly costPico: bigint; readonly tokens: number }
  | { readonly kind: 'free' }
  | { readonly kind: 'held' };

/** The columns of an account, as PostgreSQL gives them. */
export type Account = Awaited<ReturnType<typeof lockAccount>>;

/** The most that a call can cost. */
export type WorstCase = { readonly worstPico: bigint; readonly worstTokens: number };

/** Locks the account of a run: whoever moves its money waits here. */
export async function lockAccount(tx: Db, tenant: string, runId: string) {
  return tx
    .selectFrom('budget_accounts')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('kind', '=', 'run')
    .where('id', '=', runId)
    .forUpdate()
    .executeTakeFirstOrThrow(
      () => new Error(`run ${runId} has no budget account; it was not admitted, or it was erased`),
    );
}

/** Gives what a run has used, as its account says. */
export function totalOf(account: Account): RunTotal {
  return { costPico: account.spent_pico, tokens: Number(account.spent_tokens) };
}

/** Finds the limit that a reservation would break, with or without what is held: what is spent is gone, what is held may come back. */
export function refusedBy(
  account: Account,
  reservation: WorstCase,
  held: 'with-held' | 'without-held',
): Dimension | null {
  const counts = held === 'with-held' ? 1n : 0n;
  const pico = BigInt(account.spent_pico) + counts * BigInt(account.held_pico) + reservation.worstPico;
  if (pico > BigInt(account.cap_pico)) return 'usd';
  const tokens = BigInt(account.spent_tokens) + counts * BigInt(account.held_tokens) + BigInt(reservation.worstTokens);
  return tokens > BigInt(account.cap_tokens) ? 'tokens' : null;
}

/** Counts what calls without an answer hold. */
export async function countHeld(tx: Db, tenant: string, runId: string, account: Account): Promise<Held> {
  const { calls } = await tx
    .selectFrom('budget_reservations')
    .select(sql<string>`count(*)`.as('calls'))
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('state', 'in', ['reserved', 'held'])
    .executeTakeFirstOrThrow();
  return { calls: Number(calls), heldPico: BigInt(account.held_pico), heldTokens: Number(account.held_tokens) };
}

/**
 * Charges a reservation and its account, once. Gives what this call charged in pico-dollars, or null when it was not this call that did. A
 * reservation that its own attempt did not close has no time of it.
 */
export async function chargeReservation(
  tx: Db,
  tenant: string,
  runId: string,
  id: string,
  charge: Charge,
  { closedAt = new Date() }: { readonly closedAt?: Date | null } = {},
): Promise<bigint | null> {
  if (charge.kind === 'held') {
    await tx
      .updateTable('budget_reservations')
      .set({ state: 'held' })
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('state', '=', 'reserved')
      .execute();
    return null;
  }
  const settled = charge.kind === 'settled' ? charge : { costPico: 0n, tokens: 0 };
  const row = await tx
    .updateTable('budget_reservations')
    .set({
      state: charge.kind === 'settled' ? 'settled' : 'released',
      actual_pico: settled.costPico,
      actual_tokens: settled.tokens,
      closed_at: closedAt,
    })
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .where('state', 'in', ['reserved', 'held'])
    .returning(['worst_pico', 'worst_tokens'])
    .executeTakeFirst();
  if (row === undefined) return null;
  await moveHeld(tx, tenant, runId, -BigInt(row.worst_pico), -BigInt(row.worst_tokens));
  await tx
    .updateTable('budget_accounts')
    .set((eb) => ({
      spent_pico: eb('spent_pico', '+', String(settled.costPico)),
      spent_tokens: eb('spent_tokens', '+', String(settled.tokens)),
    }))
    .where('tenant', '=', tenant)
    .where('kind', '=', 'run')
    .where('id', '=', runId)
    .execute();
  return settled.costPico;
}

/** Moves what an account holds for calls under way; negative amounts free it. */
export async function moveHeld(tx: Db, tenant: string, runId: string, pico: bigint, tokens: bigint): Promise<void> {
  await tx
    .updateTable('budget_accounts')
    .set((eb) => ({
      held_pico: eb('held_pico', '+', String(pico)),
      held_tokens: eb('held_tokens', '+', String(tokens)),
    }))
    .where('tenant', '=', tenant)
    .where('kind', '=', 'run')
    .where('id', '=', runId)
    .execute();
}
