import { sql } from 'kysely';
import type { Usage } from '../domain/model/usage.ts';
import type { Db } from './database.ts';
import { type Charge, lockRuns } from './budget-account.ts';
import { type BudgetWarning, chargeReservations, moveAbove, moveCharged, type OnBudgetWarned } from './charge-calls.ts';
import { detailsColumn } from './observations.ts';

/** An attempt of which nobody knows whether it was paid. */
export type UnansweredCall = {
  /** The request id that its provider was given. */
  readonly reservationId: string;
  readonly runId: string;
  readonly observationId: string;
  readonly openedAt: Date;
};

/** What a provider was found to have charged. */
export type LookedUp = { readonly usage: Usage; readonly costPico: bigint; readonly priceVersion: string };

/** Calls of a run that are asked about at a time, the newest first: more than a turn can have before the run is blocked. */
const ASKED_MAX = 16;

/** Keeps what providers know of attempts that nobody answered. */
export function createUnansweredCalls(db: Db, onWarned: OnBudgetWarned = () => undefined) {
  return {
    list: (tenant: string, runId: string, modelId: string) => listUnanswered(db, tenant, runId, modelId),
    async settle(tenant: string, call: UnansweredCall, charge: Charge, found: LookedUp | null): Promise<void> {
      const warnings = await settleLookedUp(db, tenant, call, charge, found);
      for (const warning of warnings) onWarned(warning);
    },
  };
}

/** Lists attempts of a run at a model that hold money. The one that is at work may be among them. */
async function listUnanswered(
  db: Db,
  tenant: string,
  runId: string,
  modelId: string,
): Promise<readonly UnansweredCall[]> {
  const { rows } = await sql<UnansweredCall>`
    select b.id as "reservationId", b.run_id as "runId", o.id as "observationId", o.opened_at as "openedAt"
      from perdure.budget_reservations b
      join perdure.observations o on o.tenant = b.tenant and o.run_id = b.run_id and o.reservation = b.id
     where b.tenant = ${tenant} and b.run_id = ${runId} and b.state in ('held', 'reserved') and o.name = ${modelId}
     order by b.opened_at desc
     limit ${ASKED_MAX}`.execute(db);
  return rows;
}

/** Settles an attempt by what its provider knows, unless it was settled meanwhile. What became of the attempt itself stays as it is. */
async function settleLookedUp(
  db: Db,
  tenant: string,
  call: UnansweredCall,
  charge: Charge,
  found: LookedUp | null,
): Promise<readonly BudgetWarning[]> {
  const { runId, reservationId: id } = call;
  return db.transaction().execute(async (tx) => {
    const locked = await lockRuns(tx, [{ tenant, runId }]);
    const charged = await chargeReservations(tx, [{ tenant, runId, id, charge, closedAt: null }]);
    if (charged.length === 0) return [];
    if (found !== null) await describeFound(tx, call, found);
    return moveAbove(tx, charged, await moveCharged(tx, charged, locked));
  });
}

async function describeFound(tx: Db, call: UnansweredCall, { usage, costPico, priceVersion }: LookedUp): Promise<void> {
  await tx
    .updateTable('observations')
    .set({
      input_tokens: usage.inputTokens,
      output_tokens: usage.outputTokens,
      cache_read_tokens: usage.cacheReadTokens,
      cache_write_tokens: usage.cacheWriteTokens,
      reasoning_tokens: usage.reasoningTokens,
      usage_details: detailsColumn(usage),
      cost_pico: costPico,
      price_version: priceVersion,
      is_cost_simulated: false,
    })
    .where('opened_at', '=', call.openedAt)
    .where('id', '=', call.observationId)
    .execute();
}
