import { sql } from 'kysely';
import { appendAudit } from './audit.ts';
import type { Database, Db, EffectState } from './database.ts';
import type { Intent, Lease, Position } from './effect-types.ts';
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
  const row = await findRow(tx, tenant, key);
  if (row === null) throw new Error(`effect ${key} is not in the ledger`);
  return row;
}

/** Reads and locks a row until the transaction ends. Null when there is none. */
export async function findRow(tx: Db, tenant: string, key: string): Promise<EffectRow | null> {
  const row = await tx
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
    .executeTakeFirst();
  return row ?? null;
}

/** Tells whether a row speaks of the call at a position. */
export function isOfCall(row: EffectRow, { root, turn, callIndex }: Position): boolean {
  return row.root === root && row.turn === turn && row.call_index === callIndex;
}

/**
 * Finds the key under which a call has begun a write, whatever its tool would call it by now: a business key may have changed with the
 * build. Attempts are asked, because the row itself belongs to the last call that took it.
 */
export async function findKey(
  db: Db,
  tenant: string,
  { root, turn, callIndex, argsHash }: Omit<Position, 'runId'> & { readonly argsHash: string },
): Promise<string | null> {
  const { rows } = await sql<{ key: string }>`
    select key from perdure.effect_attempts
     where tenant = ${tenant} and root = ${root} and turn = ${turn} and call_index = ${callIndex} and args_hash = ${argsHash}
     order by opened_at desc limit 1`.execute(db);
  return rows[0]?.key ?? null;
}

/**
 * Gives the next attempt the lease, and the row to its call; the attempt before is fenced off from here on. A sender gets a deadline of
 * its own. A reconciling attempt sends nothing, so nobody has to wait for it.
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
      ...columnsOf(intent),
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
  const { key, root, runId, turn, callIndex, argsHash, worker } = intent;
  await tx
    .insertInto('effect_attempts')
    .values({
      tenant,
      key,
      attempt,
      run_id: runId,
      root,
      turn,
      call_index: callIndex,
      args_hash: argsHash,
      worker,
      send_deadline: deadlineIn(intent.sendWithinMs),
    })
    .execute();
  const observation = await openObservation(tx, tenant, intent.observation);
  return { key, attempt, position: { root, runId, turn, callIndex }, observation };
}

/** Gives a row to the run that meets it now. */
export async function giveRow(tx: Db, tenant: string, intent: Intent): Promise<void> {
  await tx
    .updateTable('effects')
    .set(columnsOf(intent))
    .where('tenant', '=', tenant)
    .where('key', '=', intent.key)
    .execute();
}

/** Names the call that a row belongs to; the row's result is readable in the scope of that call's run only. */
export function columnsOf({ root, runId, turn, callIndex }: Position) {
  return { root, run_id: runId, turn, call_index: callIndex };
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
