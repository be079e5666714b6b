import { sql } from 'kysely';
import { appendAudit } from './audit.ts';
import type { Database, Db, EffectState } from './database.ts';
import type { Intent, Lease } from './effect-types.ts';
import { openObservation } from './observations.ts';

/** How far behind the clock of a given-up attempt may run: its deadline is measured on its own monotonic clock, ours on the database's. */
const DEADLINE_MARGIN_MS = 250;

/** An effect as the ledger's decisions see it. `wait_ms` is the time until its last attempt can no longer send. */
export type EffectRow = {
  readonly state: EffectState;
  readonly attempt: number;
  readonly run_id: string;
  readonly turn: number;
  readonly call_index: number;
  readonly root: string;
  readonly ref: string | null;
  readonly settled_at: Date | null;
  readonly wait_ms: number;
};

/** Tells whether the approval that a write needs stands for exactly its arguments. */
export async function isApproved(tx: Db, tenant: string, intent: Intent): Promise<boolean> {
  if (intent.approvalId === null) return true;
  const row = await tx
    .selectFrom('approvals')
    .select('state')
    .where('tenant', '=', tenant)
    .where('id', '=', intent.approvalId)
    .where('approved_hash', '=', intent.argsHash)
    .forShare()
    .executeTakeFirst();
  return row?.state === 'approved';
}

/** Inserts the row of a write. False when the key is there already. */
export async function insertIntent(tx: Db, tenant: string, intent: Intent): Promise<boolean> {
  const inserted = await tx
    .insertInto('effects')
    .values({
      tenant,
      key: intent.key,
      root: intent.root,
      run_id: intent.runId,
      turn: intent.turn,
      call_index: intent.callIndex,
      tool: intent.tool,
      contract: intent.contract,
      args_hash: intent.argsHash,
      state: 'intended',
      attempt: 1,
      send_deadline: deadlineIn(intent.sendWithinMs),
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}

/** Reads and locks a row until the transaction ends. */
export async function lockRow(tx: Db, tenant: string, key: string): Promise<EffectRow> {
  return tx
    .selectFrom('effects')
    .select(['state', 'attempt', 'run_id', 'turn', 'call_index', 'root', 'ref', 'settled_at'])
    .select(
      sql<number>`greatest(0, extract(epoch from send_deadline - clock_timestamp()) * 1000 + ${DEADLINE_MARGIN_MS})::int`.as(
        'wait_ms',
      ),
    )
    .where('tenant', '=', tenant)
    .where('key', '=', key)
    .forUpdate()
    .executeTakeFirstOrThrow(() => new Error(`effect ${key} is not in the ledger`));
}

/**
 * Gives the next attempt the lease; the one before is fenced off from here on. A sender gets a deadline of its own. A reconciling attempt
 * sends nothing, so nobody has to wait for it.
 */
export async function takeLease(
  tx: Db,
  tenant: string,
  intent: Intent,
  row: EffectRow,
  purpose: 'send' | 'reconcile',
): Promise<Lease> {
  const attempt = row.attempt + 1;
  await tx
    .updateTable('effects')
    .set({
      state: 'intended',
      attempt,
      ref: null,
      settled_at: null,
      ...(purpose === 'send' ? { send_deadline: deadlineIn(intent.sendWithinMs) } : {}),
    })
    .where('tenant', '=', tenant)
    .where('key', '=', intent.key)
    .execute();
  return openAttempt(tx, tenant, intent, attempt);
}

/** Opens the row of an attempt and its observation: an attempt that could not be noted is not made. */
export async function openAttempt(tx: Db, tenant: string, intent: Intent, attempt: number): Promise<Lease> {
  await tx
    .insertInto('effect_attempts')
    .values({
      tenant,
      key: intent.key,
      attempt,
      run_id: intent.runId,
      worker: intent.worker,
      send_deadline: deadlineIn(intent.sendWithinMs),
    })
    .execute();
  return { key: intent.key, attempt, observation: await openObservation(tx, tenant, intent.observation) };
}

/** Closes an attempt that is open. */
export async function closeAttempt(
  tx: Db,
  tenant: string,
  lease: Lease,
  outcome: NonNullable<Database['effect_attempts']['outcome']>,
  message: string | null,
): Promise<void> {
  await tx
    .updateTable('effect_attempts')
    .set({ outcome, message, closed_at: sql<Date>`clock_timestamp()` })
    .where('tenant', '=', tenant)
    .where('key', '=', lease.key)
    .where('attempt', '=', lease.attempt)
    .where('outcome', 'is', null)
    .execute();
}

/** Marks an effect as unknown, with its audit record. */
export async function markUnknown(tx: Db, tenant: string, key: string): Promise<void> {
  await tx
    .updateTable('effects')
    .set({ state: 'unknown' })
    .where('tenant', '=', tenant)
    .where('key', '=', key)
    .execute();
  await appendAudit(tx, tenant, {
    principal: 'perdure',
    action: 'effect.unknown',
    target: key,
    after: { state: 'unknown' },
  });
}

function deadlineIn(ms: number) {
  return sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'`;
}
