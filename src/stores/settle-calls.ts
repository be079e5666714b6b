import { sql } from 'kysely';
import type { Failpoint } from '../domain/failpoint.ts';
import type { RunTotal } from '../domain/run/results.ts';
import { accountMissing, type Charge, keyOf, lockRuns, totalOf } from './budget-account.ts';
import type { KeptSummary, ModelAttempt } from './call-types.ts';
import { type BudgetWarning, chargeReservations, moveAbove, moveCharged } from './charge-calls.ts';
import type { Db, StoredReply } from './database.ts';
import { type ClosedObservation, closeObservation } from './observations.ts';
import { findReplies, findSummaries, turnKeyOf } from './open-calls.ts';

/** A call that is over: what it cost, and what it gave that is worth keeping. */
export type OverCall = {
  readonly tenant: string;
  readonly attempt: ModelAttempt;
  readonly charge: Charge;
  readonly closed: ClosedObservation;
  readonly reply: StoredReply | null;
  readonly summary: KeptSummary | null;
};

/** What counts after it: another attempt may have been faster. An error where its run has no account. */
export type Settled = {
  readonly reply: StoredReply | null;
  readonly ref: string | null;
  readonly total: RunTotal;
  /** What this attempt charged, in pico-dollars; nothing where it was settled before. */
  readonly chargedPico: bigint;
  /** How much of that is above what was reserved for it. */
  readonly overPico: bigint;
};

/**
 * Closes calls in one transaction: charges them on every account that they were reserved on, keeps what they gave unless another attempt was
 * faster, and gives what counts with the run's total. An attempt that was given up and still answers is charged too: the provider has charged it.
 */
export async function settleCalls(
  tx: Db,
  failpoint: Failpoint,
  calls: readonly OverCall[],
): Promise<{ readonly settled: readonly (Settled | Error)[]; readonly warnings: readonly BudgetWarning[] }> {
  const places = calls.map(({ tenant, attempt: { runId, turn } }) => ({ tenant, runId, turn }));
  const locked = await lockRuns(tx, places);
  const own = calls.filter(({ tenant, attempt: { runId } }) => locked.has(keyOf({ tenant, runId })));
  const charged = await chargeReservations(
    tx,
    own.map(({ tenant, attempt: { runId, reservationId: id }, charge }) => ({
      tenant,
      runId,
      id,
      charge,
      closedAt: new Date(),
    })),
  );
  const priced = await findPriced(tx, own, charged);
  for (const { tenant, attempt, closed } of own) {
    const isPriced = priced.has(keyOf({ tenant, runId: attempt.reservationId }));
    await closeObservation(tx, attempt.observation, closed, { isPriced });
  }
  await keepReplies(tx, own);
  await keepSummaries(tx, own);
  await Promise.all(own.map(async () => failpoint('model:settling')));
  const runs = await moveCharged(tx, charged, locked);
  const replies = await findReplies(
    tx,
    places.filter((_, index) => calls[index]?.reply !== null),
  );
  const summaries = await findSummaries(
    tx,
    calls.flatMap(({ tenant, attempt: { runId }, summary }) =>
      summary === null ? [] : [{ tenant, runId, key: summary.key }],
    ),
  );
  const warnings = await moveAbove(tx, charged, runs);
  const settled = calls.map(({ tenant, attempt: { runId, turn, reservationId }, reply, summary }): Settled | Error => {
    const balance = runs.get(keyOf({ tenant, runId }));
    if (balance === undefined) return accountMissing(runId);
    const charge = charged.find((each) => each.tenant === tenant && each.id === reservationId);
    const { costPico: chargedPico, worstPico } = charge ?? { costPico: 0n, worstPico: 0n };
    return {
      reply: reply === null ? null : (replies.get(turnKeyOf({ tenant, runId, turn })) ?? null),
      ref: summary === null ? null : (summaries.get(`${keyOf({ tenant, runId })} ${summary.key}`) ?? summary.ref),
      total: totalOf(balance),
      chargedPico,
      overPico: chargedPico > worstPico ? chargedPico - worstPico : 0n,
    };
  });
  return { settled, warnings };
}

/** Finds calls that were charged before by the word of their provider or of a person: what stands on their rows is of that word. */
async function findPriced(
  tx: Db,
  calls: readonly OverCall[],
  charged: readonly { readonly tenant: string; readonly id: string }[],
): Promise<ReadonlySet<string>> {
  const now = new Set(charged.map(({ tenant, id }) => keyOf({ tenant, runId: id })));
  const late = calls
    .map(({ tenant, attempt: { reservationId } }) => ({ tenant, runId: reservationId }))
    .filter((each) => !now.has(keyOf(each)));
  if (late.length === 0) return new Set();
  const { rows } = await sql<{ readonly tenant: string; readonly runId: string }>`
    select tenant, id as "runId" from perdure.budget_reservations
     where state in ('settled', 'released') and (tenant, id) in (select * from unnest(
       ${late.map(({ tenant }) => tenant)}::text[], ${late.map(({ runId }) => runId)}::text[]))`.execute(tx);
  return new Set(rows.map(keyOf));
}

async function keepReplies(tx: Db, calls: readonly OverCall[]): Promise<void> {
  const rows = calls.flatMap(({ tenant, attempt: { runId, turn }, reply }) =>
    reply === null
      ? []
      : [
          {
            tenant,
            run_id: runId,
            turn,
            // Columns of their own: a reply may hold what PostgreSQL's JSON functions refuse to look into.
            head: reply.head,
            answer: reply.answer?.ref ?? null,
            result: JSON.stringify(reply),
          },
        ],
  );
  if (rows.length === 0) return;
  await tx
    .insertInto('model_replies')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function keepSummaries(tx: Db, calls: readonly OverCall[]): Promise<void> {
  const rows = calls.flatMap(({ tenant, attempt: { runId }, summary }) =>
    summary === null ? [] : [{ tenant, run_id: runId, ...summary }],
  );
  if (rows.length === 0) return;
  await tx
    .insertInto('summaries')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
