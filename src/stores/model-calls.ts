import { sql } from 'kysely';
import { type Failpoint, noFailpoint } from '../domain/failpoint.ts';
import type { Dimension } from '../domain/run/run-end.ts';
import type { RunTotal } from '../domain/run/results.ts';
import {
  type Account,
  type Charge,
  chargeReservation,
  countHeld,
  type Held,
  lockAccount,
  moveHeld,
  refusedBy,
  totalOf,
} from './budget-account.ts';
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
  /** Set for a call that summarises: the key under which its summary is kept. Such calls are counted apart from those of their turn. */
  readonly summaryKey?: string;
};

export type Reserved = { readonly kind: 'replied'; readonly reply: StoredReply; readonly total: RunTotal } | Opened;

/** What became of opening a call that summarises. `summarised`: it was paid for and kept before. */
export type SummaryReserved = ({ readonly kind: 'summarised'; readonly ref: string } | Opened) & {
  readonly total: RunTotal;
};

type Opened =
  | { readonly kind: 'reserved'; readonly observation: OpenObservation }
  | { readonly kind: 'budget-refused'; readonly dimension: Dimension; readonly total: RunTotal }
  | ({ readonly kind: 'budget-held'; readonly dimension: Dimension } & Held)
  | { readonly kind: 'too-many-calls'; readonly what: 'unusable' | 'unanswered'; readonly calls: number };

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
    reserveSummary: (
      tenant: string,
      reservation: Reservation & { readonly summaryKey: string },
      observation: NewObservation,
    ) => reserveSummary(db, tenant, reservation, observation),
    settleSummary: async (
      tenant: string,
      attempt: ModelAttempt,
      charge: Charge,
      closed: ClosedObservation,
      summary: KeptSummary,
    ) => {
      const { chargedPico, ...settled } = await settleSummary(db, failpoint, tenant, attempt, charge, closed, summary);
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
    const account = await lockAccount(tx, tenant, runId);
    const total = totalOf(account);
    const kept = await findReply(tx, tenant, runId, turn);
    if (kept !== null) return noteUncalled(tx, tenant, observation, { kind: 'replied', reply: kept, total });
    const opened = await open(tx, tenant, account, reservation, observation);
    return opened.kind === 'reserved' ? opened : noteUncalled(tx, tenant, observation, opened);
  });
}

/** The same for a call that summarises: its result is kept by what it was asked, not by its turn. */
async function reserveSummary(
  db: Db,
  tenant: string,
  reservation: Reservation & { readonly summaryKey: string },
  observation: NewObservation,
): Promise<SummaryReserved> {
  const { runId } = observation;
  return db.transaction().execute(async (tx) => {
    const account = await lockAccount(tx, tenant, runId);
    const ref = await findSummary(tx, tenant, runId, reservation.summaryKey);
    const total = totalOf(account);
    if (ref !== null) {
      await noteUncalled(tx, tenant, observation, { kind: 'summarised' });
      return { kind: 'summarised', ref, total };
    }
    const opened = await open(tx, tenant, account, reservation, observation);
    if (opened.kind !== 'reserved') await noteUncalled(tx, tenant, observation, opened);
    return { total, ...opened };
  });
}

async function open(
  tx: Db,
  tenant: string,
  account: Account,
  reservation: Reservation,
  observation: NewObservation,
): Promise<Opened> {
  const { runId, turn } = observation;
  const total = totalOf(account);
  const { summaryKey = null } = reservation;
  await tx
    .updateTable('budget_reservations')
    .set({ state: 'held' })
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('turn', '=', turn)
    .where('state', '=', 'reserved')
    .execute();
  const calls = await countCalls(tx, tenant, runId, turn, summaryKey);
  if (calls.settled >= reservation.unusableMax)
    return { kind: 'too-many-calls', what: 'unusable', calls: calls.settled };
  if (calls.held >= reservation.unansweredMax) return { kind: 'too-many-calls', what: 'unanswered', calls: calls.held };
  const used = refusedBy(account, reservation, 'without-held');
  if (used !== null) return { kind: 'budget-refused', dimension: used, total };
  const starved = refusedBy(account, reservation, 'with-held');
  if (starved !== null) {
    return { kind: 'budget-held', dimension: starved, ...(await countHeld(tx, tenant, runId, account)) };
  }
  await tx
    .insertInto('budget_reservations')
    .values({
      tenant,
      id: reservation.id,
      run_id: runId,
      turn,
      summary_key: summaryKey,
      state: 'reserved',
      worst_pico: reservation.worstPico,
      worst_tokens: reservation.worstTokens,
    })
    .execute();
  await moveHeld(tx, tenant, runId, reservation.worstPico, BigInt(reservation.worstTokens));
  const opened = await openObservation(tx, tenant, { ...observation, reservation: reservation.id });
  return { kind: 'reserved', observation: opened };
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

/** A summary that is kept: where it is, and the name of what was asked for it. */
export type KeptSummary = { readonly key: string; readonly ref: string };

/** Closes a call that summarises: charges it, keeps its summary, and gives the one that counts, as another attempt may have been faster. */
async function settleSummary(
  db: Db,
  failpoint: Failpoint,
  tenant: string,
  attempt: ModelAttempt,
  charge: Charge,
  closed: ClosedObservation,
  summary: KeptSummary,
): Promise<{ ref: string; total: RunTotal; chargedPico: bigint }> {
  const { runId } = attempt;
  return db.transaction().execute(async (tx) => {
    await lockAccount(tx, tenant, runId);
    const chargedPico = (await chargeReservation(tx, tenant, runId, attempt.reservationId, charge)) ?? 0n;
    await closeObservation(tx, attempt.observation, closed);
    await tx
      .insertInto('summaries')
      .values({ tenant, run_id: runId, ...summary })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await failpoint('model:settling');
    const account = await lockAccount(tx, tenant, runId);
    const ref = (await findSummary(tx, tenant, runId, summary.key)) ?? summary.ref;
    return { ref, total: totalOf(account), chargedPico };
  });
}

async function findSummary(tx: Db, tenant: string, runId: string, key: string): Promise<string | null> {
  const row = await tx
    .selectFrom('summaries')
    .select('ref')
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('key', '=', key)
    .executeTakeFirst();
  return row?.ref ?? null;
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
  summaryKey: string | null,
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
    .where('summary_key', summaryKey === null ? 'is' : '=', summaryKey)
    .groupBy('known')
    .execute();
  const count = (state: string): number => Number(rows.find((row) => row.known === state)?.calls ?? 0);
  return { settled: count('settled'), held: count('held') };
}
