import { sql } from 'kysely';
import { type Failpoint, noFailpoint } from '../domain/failpoint.ts';
import type { Dimension } from '../domain/run/run-end.ts';
import type { RunTotal } from '../domain/run/results.ts';
import type { Db, StoredReply } from './database.ts';
import {
  closeObservation,
  type ClosedObservation,
  type NewObservation,
  type OnAttemptClosed,
  type OpenObservation,
  openObservation,
} from './observations.ts';
import { noteUncalled } from './uncalled-attempts.ts';

export type Reservation = {
  readonly id: string;
  readonly worstPico: bigint;
  readonly worstTokens: number;
  /** Paid replies of this turn that could not be used; at this many the turn is given up. */
  readonly unusableMax: number;
  /** Calls of this turn of which nobody knows whether they were paid; at this many a person is asked. */
  readonly unansweredMax: number;
};

export type Reserved =
  | { readonly kind: 'reserved'; readonly observation: OpenObservation }
  | { readonly kind: 'replied'; readonly reply: StoredReply; readonly total: RunTotal }
  | { readonly kind: 'budget-refused'; readonly dimension: Dimension; readonly total: RunTotal }
  | ({ readonly kind: 'budget-held'; readonly dimension: Dimension } & Held)
  | { readonly kind: 'too-many-calls'; readonly what: 'unusable' | 'unanswered'; readonly calls: number };

/** What calls of a run hold of its budget because nobody knows whether they were paid. */
export type Held = { readonly calls: number; readonly heldPico: bigint; readonly heldTokens: number };

/** What an attempt is known to have cost: `settled` by the provider's own count, `free` when nothing was charged, else `held`. */
export type Charge =
  | { readonly kind: 'settled'; readonly costPico: bigint; readonly tokens: number }
  | { readonly kind: 'free' }
  | { readonly kind: 'held' };

/** An attempt at a turn's model call that is under way. */
export type ModelAttempt = {
  readonly runId: string;
  readonly turn: number;
  readonly reservationId: string;
  readonly observation: OpenObservation;
};

/**
 * Keeps the money and the replies of model calls. An attempt reserves its worst case before it calls and settles what it really cost after;
 * a reservation whose attempt died stays held, because nobody knows whether the provider charged it. So spent plus held never
 * exceeds the cap.
 */
export function createModelCalls(
  db: Db,
  failpoint: Failpoint = noFailpoint,
  onClosed: OnAttemptClosed = () => undefined,
) {
  return {
    reserve: (tenant: string, reservation: Reservation, observation: NewObservation) =>
      reserve(db, tenant, reservation, observation),
    settle: async (
      tenant: string,
      attempt: ModelAttempt,
      charge: Charge,
      closed: ClosedObservation,
      reply: StoredReply | null,
    ) => {
      const { chargedPico, ...settled } = await settle(db, failpoint, tenant, attempt, charge, closed, reply);
      onClosed({ ...attempt.observation, ...closed, chargedPico });
      return settled;
    },
  };
}

/** Opens an attempt: gives a reply that was kept, refuses what the budget cannot bear, or reserves the worst case. */
async function reserve(
  db: Db,
  tenant: string,
  reservation: Reservation,
  observation: NewObservation,
): Promise<Reserved> {
  const { runId, turn } = observation;
  return db.transaction().execute(async (tx) => {
    const uncalled = async (why: Parameters<typeof noteUncalled>[3]) => noteUncalled(tx, tenant, observation, why);
    const account = await lockAccount(tx, tenant, runId);
    const total = { costPico: account.spent_pico, tokens: Number(account.spent_tokens) };
    const kept = await findReply(tx, tenant, runId, turn);
    if (kept !== null) return uncalled({ kind: 'replied', reply: kept, total });
    await tx
      .updateTable('budget_reservations')
      .set({ state: 'held' })
      .where('tenant', '=', tenant)
      .where('run_id', '=', runId)
      .where('turn', '=', turn)
      .where('state', '=', 'reserved')
      .execute();
    const calls = await countCalls(tx, tenant, runId, turn);
    if (calls.settled >= reservation.unusableMax)
      return uncalled({ kind: 'too-many-calls', what: 'unusable', calls: calls.settled });
    if (calls.held >= reservation.unansweredMax)
      return uncalled({ kind: 'too-many-calls', what: 'unanswered', calls: calls.held });
    const used = refusedBy(account, reservation, 'without-held');
    if (used !== null) return uncalled({ kind: 'budget-refused', dimension: used, total });
    const starved = refusedBy(account, reservation, 'with-held');
    if (starved !== null) {
      const held = await countHeld(tx, tenant, runId, account);
      return uncalled({ kind: 'budget-held', dimension: starved, ...held });
    }
    await tx
      .insertInto('budget_reservations')
      .values({
        tenant,
        id: reservation.id,
        run_id: runId,
        turn,
        state: 'reserved',
        worst_pico: reservation.worstPico,
        worst_tokens: reservation.worstTokens,
      })
      .execute();
    await moveHeld(tx, tenant, runId, reservation.worstPico, BigInt(reservation.worstTokens));
    const open = await openObservation(tx, tenant, { ...observation, reservation: reservation.id });
    return { kind: 'reserved', observation: open };
  });
}

/**
 * Closes an attempt: charges it, keeps its reply unless another attempt was faster, and gives the reply that counts with the run's
 * total. An attempt that was given up and still answers is charged too: the provider has charged it.
 */
async function settle(
  db: Db,
  failpoint: Failpoint,
  tenant: string,
  attempt: ModelAttempt,
  charge: Charge,
  closed: ClosedObservation,
  reply: StoredReply | null,
): Promise<{ reply: StoredReply | null; total: RunTotal; chargedPico: bigint }> {
  return db.transaction().execute(async (tx) => {
    await lockAccount(tx, tenant, attempt.runId);
    const chargedPico = (await chargeReservation(tx, tenant, attempt.runId, attempt.reservationId, charge)) ?? 0n;
    await closeObservation(tx, attempt.observation, closed);
    if (reply !== null) {
      await tx
        .insertInto('model_replies')
        .values({
          tenant,
          run_id: attempt.runId,
          turn: attempt.turn,
          // Columns of their own: a reply may hold what PostgreSQL's JSON functions refuse to look into.
          head: reply.head,
          answer: reply.answer?.ref ?? null,
          result: JSON.stringify(reply),
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
    await failpoint('model:settling');
    const account = await lockAccount(tx, tenant, attempt.runId);
    return {
      reply: reply === null ? null : await findReply(tx, tenant, attempt.runId, attempt.turn),
      total: { costPico: account.spent_pico, tokens: Number(account.spent_tokens) },
      chargedPico,
    };
  });
}

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

async function findReply(tx: Db, tenant: string, runId: string, turn: number): Promise<StoredReply | null> {
  const row = await tx
    .selectFrom('model_replies')
    .select('result')
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('turn', '=', turn)
    .executeTakeFirst();
  return row?.result ?? null;
}

async function countCalls(
  tx: Db,
  tenant: string,
  runId: string,
  turn: number,
): Promise<{ settled: number; held: number }> {
  const rows = await tx
    .selectFrom('budget_reservations')
    .select([
      // What a provider was asked about was paid, and no reply of it came: the model may answer the next call.
      sql<string>`case when state = 'settled' and closed_at is null then 'held' else state end`.as('known'),
      sql<string>`count(*)`.as('calls'),
    ])
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('turn', '=', turn)
    .groupBy('known')
    .execute();
  const count = (state: string): number => Number(rows.find((row) => row.known === state)?.calls ?? 0);
  return { settled: count('settled'), held: count('held') };
}

/** The columns of an account, as PostgreSQL gives them. */
type Account = Awaited<ReturnType<typeof lockAccount>>;

/** Finds the limit that a reservation would break, with or without what is held: what is spent is gone, what is held may come back. */
function refusedBy(account: Account, reservation: Reservation, held: 'with-held' | 'without-held'): Dimension | null {
  const counts = held === 'with-held' ? 1n : 0n;
  const pico = BigInt(account.spent_pico) + counts * BigInt(account.held_pico) + reservation.worstPico;
  if (pico > BigInt(account.cap_pico)) return 'usd';
  const tokens = BigInt(account.spent_tokens) + counts * BigInt(account.held_tokens) + BigInt(reservation.worstTokens);
  return tokens > BigInt(account.cap_tokens) ? 'tokens' : null;
}

async function countHeld(tx: Db, tenant: string, runId: string, account: Account): Promise<Held> {
  const { calls } = await tx
    .selectFrom('budget_reservations')
    .select(sql<string>`count(*)`.as('calls'))
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('state', 'in', ['reserved', 'held'])
    .executeTakeFirstOrThrow();
  return { calls: Number(calls), heldPico: BigInt(account.held_pico), heldTokens: Number(account.held_tokens) };
}

/** Charges a reservation and its account, once. Gives what this call charged in pico-dollars, or null when it was not this call that did. A reservation that its own attempt did not close has no time of it. */
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

async function moveHeld(tx: Db, tenant: string, runId: string, pico: bigint, tokens: bigint): Promise<void> {
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
