import { lockRuns } from './budget-account.ts';
import { type BudgetWarning, chargeReservations, moveAbove, moveCharged } from './charge-calls.ts';
import type { Db } from './database.ts';
import type { NewCall } from './open-calls.ts';

/** Times that a reservation is tried to be given back: a database that restarts is there again within a minute. */
const TRIES_MAX = 60;

/** Milliseconds between two of them. */
const PAUSE_MS = 1_000;

/**
 * Gives back what a transaction may have reserved whose end nobody has heard of. A transaction that still ends holds the account of its run, so this
 * comes after it. It never throws: where the database stays away, or the process ends, the money is held as that of a call without an answer.
 */
export async function giveBack(
  db: Db,
  { tenant, reservation: { id }, observation: { runId } }: Pick<NewCall, 'tenant' | 'reservation' | 'observation'>,
): Promise<readonly BudgetWarning[]> {
  for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
    try {
      return await db.transaction().execute(async (tx) => {
        const locked = await lockRuns(tx, [{ tenant, runId }]);
        const charge = { tenant, runId, id, charge: { kind: 'free' }, closedAt: new Date() } as const;
        const charged = await chargeReservations(tx, [charge]);
        return moveAbove(tx, charged, await moveCharged(tx, charged, locked));
      });
    } catch {
      await new Promise<void>((resolve) => void setTimeout(resolve, PAUSE_MS).unref());
    }
  }
  return [];
}
