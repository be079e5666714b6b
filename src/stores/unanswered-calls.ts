import { sql } from 'kysely';
import type { Usage } from '../domain/model/usage.ts';
import type { Db } from './database.ts';
import { type Charge, chargeReservation, lockAccount } from './budget-account.ts';
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
export function createUnansweredCalls(db: Db) {
  return {
    list: (tenant: string, runId: string, modelId: string) => listUnanswered(db, tenant, runId, modelId),
    settle: (tenant: string, call: UnansweredCall, charge: Charge, found: LookedUp | null) =>
      settleLookedUp(db, tenant, call, charge, found),
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
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await lockAccount(tx, tenant, call.runId);
    const charged = await chargeReservation(tx, tenant, call.runId, call.reservationId, charge, { closedAt: null });
    if (charged === null || found === null) return;
    await tx
      .updateTable('observations')
      .set({
        input_tokens: found.usage.inputTokens,
        output_tokens: found.usage.outputTokens,
        cache_read_tokens: found.usage.cacheReadTokens,
        cache_write_tokens: found.usage.cacheWriteTokens,
        reasoning_tokens: found.usage.reasoningTokens,
        usage_details: detailsColumn(found.usage),
        cost_pico: found.costPico,
        price_version: found.priceVersion,
        is_cost_simulated: false,
      })
      .where('opened_at', '=', call.openedAt)
      .where('id', '=', call.observationId)
      .execute();
  });
}
