import { sql } from 'kysely';
import { type Failpoint, noFailpoint } from '../domain/failpoint.ts';
import { appendAudit } from './audit.ts';
import type { Begun, EffectOutcome, Intent, Lease, PersonsWord, Position, Settled } from './effect-types.ts';
import type { Db, EffectState } from './database.ts';
import {
  closeAttempt,
  columnsOf,
  type EffectRow,
  findKey,
  findRow,
  giveRow,
  insertIntent,
  isApproved,
  isOfCall,
  lockRow,
  markUnknown,
  openAttempt,
  takeLease,
} from './effect-rows.ts';

type Ledger = { readonly db: Db; readonly failpoint: Failpoint };

/**
 * The effect ledger: every write is a row before it is sent and after. `intended → succeeded | failed | unknown`, and `unknown` becomes
 * known only by reconciling, by the late reply itself, or by a person.
 */
export function createEffects(db: Db, failpoint: Failpoint = noFailpoint) {
  const ledger: Ledger = { db, failpoint };
  return {
    /** Gives the key under which a call has begun a write; null when it has begun none. */
    keyOf: (tenant: string, call: Omit<Position, 'runId'> & { readonly argsHash: string }) => findKey(db, tenant, call),
    begin: (tenant: string, intent: Intent) => begin(ledger, tenant, intent),
    holdsLease: (tenant: string, lease: Lease) => holdsLease(ledger, tenant, lease),
    sendAfterNever: (tenant: string, intent: Intent, lease: Lease) => sendAfterNever(ledger, tenant, intent, lease),
    settle: (tenant: string, lease: Lease, outcome: EffectOutcome) => settle(ledger, tenant, lease, outcome),
    declareUnknown: (tenant: string, lease: Lease, message: string) => declareUnknown(ledger, tenant, lease, message),
    resolve: (tenant: string, key: string, word: PersonsWord) => resolve(ledger, tenant, key, word),
    /** Tells whether it is certain that no attempt has sent the effect. */
    isNeverSent: (tenant: string, key: string) => isNeverSent(db, tenant, key),
    /** Notes that an attempt ended without a known outcome (`lost`), or certainly did not send (`not-sent`). */
    closeAttempt: (tenant: string, lease: Lease, outcome: 'lost' | 'not-sent', message: string) =>
      closeAttempt(db, tenant, lease, outcome, message),
  };
}

/**
 * Writes the intent of a write, with its audit record and the check of its approval, or says what is known of an earlier one.
 * An attempt takes the lease from the one before; whoever lost it must not send. What was sent is settled even when the call would be
 * refused by now.
 */
async function begin({ db, failpoint }: Ledger, tenant: string, intent: Intent): Promise<Begun> {
  return db.transaction().execute(async (tx) => {
    const maySend = intent.maySend && (await isApproved(tx, tenant, intent));
    if (maySend && (await insertIntent(tx, tenant, intent))) {
      const lease = await openAttempt(tx, tenant, intent, 1);
      await appendAudit(tx, tenant, {
        principal: intent.principal,
        action: 'effect.intend',
        target: intent.key,
        after: { tool: intent.tool, runId: intent.runId, turn: intent.turn, argsHash: intent.argsHash },
      });
      await failpoint('effect:intending');
      return { kind: 'send', lease };
    }
    const row = await findRow(tx, tenant, intent.key);
    return row === null ? { kind: 'not-approved' } : meetEarlier(tx, tenant, { ...intent, maySend }, row);
  });
}

/** Tells whether the lease still holds and its deadline has not passed: the last check before a send. */
async function holdsLease({ db }: Ledger, tenant: string, lease: Lease): Promise<boolean> {
  const row = await sql<{ holds: boolean }>`
    select (attempt = ${lease.attempt} and state = 'intended' and send_deadline > clock_timestamp()) as holds
      from perdure.effects where tenant = ${tenant} and key = ${lease.key}`.execute(db);
  return row.rows[0]?.holds === true;
}

/** Opens a fresh attempt after the destination promised to refuse the earlier one. Null when the lease was lost. */
async function sendAfterNever({ db }: Ledger, tenant: string, intent: Intent, lease: Lease): Promise<Lease | null> {
  return db.transaction().execute(async (tx) => {
    const row = await lockRow(tx, tenant, intent.key);
    if (row.state !== 'intended' || row.attempt !== lease.attempt) return null;
    await closeAttempt(tx, tenant, lease, 'never', null);
    return takeLease(tx, tenant, intent, row, 'send');
  });
}

/**
 * Writes the outcome of a write. The first outcome stands; a reply that comes after the effect was declared unknown is evidence and
 * settles it. The row becomes that of the call whose reply it is. Gives what counts.
 */
async function settle(
  { db, failpoint }: Ledger,
  tenant: string,
  lease: Lease,
  outcome: EffectOutcome,
): Promise<Settled> {
  return db.transaction().execute(async (tx) => {
    const row = await lockRow(tx, tenant, lease.key);
    const closedAs = outcome.how === 'reconciled' ? 'reconciled' : outcome.state;
    await closeAttempt(tx, tenant, lease, closedAs, null);
    const earlier = earlierOutcome(row, lease, outcome);
    if (earlier !== null) return earlier;
    await tx
      .updateTable('effects')
      .set({
        ...columnsOf(lease.position),
        state: outcome.state,
        ref: outcome.ref,
        settled_at: sql<Date>`clock_timestamp()`,
      })
      .where('tenant', '=', tenant)
      .where('key', '=', lease.key)
      .execute();
    if (row.state === 'unknown') {
      await appendAudit(tx, tenant, {
        principal: 'perdure',
        action: 'effect.late-reply',
        target: lease.key,
        before: { state: 'unknown' },
        after: { state: outcome.state, attempt: lease.attempt },
      });
    }
    await failpoint('effect:settling');
    return { kind: 'settled', state: outcome.state, ref: outcome.ref };
  });
}

/** Decides whether an outcome is to be written (null), or what counts instead. The row is locked. */
function earlierOutcome(row: EffectRow, { attempt, position }: Lease, outcome: EffectOutcome): Settled | null {
  const isOwn = isOfCall(row, position) && row.ref !== null;
  switch (row.state) {
    case 'succeeded':
      if (isOwn) return { kind: 'settled', state: 'succeeded', ref: row.ref };
      return { kind: 'already-done', runId: row.run_id, at: row.settled_at ?? new Date() };
    case 'failed':
      if (isOwn) return { kind: 'settled', state: 'failed', ref: row.ref };
      // That another call was refused says nothing of this one.
      return outcome.state === 'succeeded' ? null : { kind: 'settled', state: 'failed', ref: outcome.ref };
    case 'intended':
    case 'unknown':
      // A refusal speaks of its own send only: once a later attempt has the lease, that one's outcome counts.
      return outcome.state === 'failed' && row.attempt !== attempt ? { kind: 'superseded' } : null;
    case 'compensating':
    case 'compensated':
    case 'compensation-unknown':
      return { kind: 'superseded' };
  }
}

/** Declares that nobody can tell whether the effect happened. False when it is known by now, or when a later attempt has the lease. */
async function declareUnknown({ db }: Ledger, tenant: string, lease: Lease, message: string): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const row = await lockRow(tx, tenant, lease.key);
    await closeAttempt(tx, tenant, lease, 'lost', message);
    if (row.state !== 'intended' || row.attempt !== lease.attempt) return false;
    await markUnknown(tx, tenant, lease.key);
    return true;
  });
}

/** Settles an unknown effect by a person's word. Gives the run to tell, or says why not. */
async function resolve(
  { db }: Ledger,
  tenant: string,
  key: string,
  as: PersonsWord,
): Promise<{ kind: 'resolved' } | { kind: 'not-unknown'; state: EffectState }> {
  return db.transaction().execute(async (tx) => {
    const row = await lockRow(tx, tenant, key);
    // One that was stopped before its outcome was known is still intended; once nobody can send it any more a person may settle it.
    const isOpen = row.state === 'intended' && row.wait_ms === 0;
    if (row.state !== 'unknown' && !isOpen) return { kind: 'not-unknown', state: row.state };
    await tx
      .updateTable('effects')
      .set({ state: as.state, ref: as.ref, settled_at: sql<Date>`clock_timestamp()` })
      .where('tenant', '=', tenant)
      .where('key', '=', key)
      .execute();
    await appendAudit(tx, tenant, {
      principal: as.principal,
      action: 'effect.resolve',
      target: key,
      before: { state: row.state },
      after: { state: as.state, reason: as.reason },
    });
    return { kind: 'resolved' };
  });
}

/** Decides what a second meeting with a key means. The row is locked. */
async function meetEarlier(tx: Db, tenant: string, intent: Intent, row: EffectRow): Promise<Begun> {
  const isOwn = isOfCall(row, intent) && row.ref !== null;
  const isOpen = row.state === 'intended' || row.state === 'unknown';
  // The run that takes up the one that left it is asked about it, and told, from here on.
  if (isOpen && isOfCall(row, intent) && row.run_id !== intent.runId) await giveRow(tx, tenant, intent);
  switch (row.state) {
    case 'succeeded':
      if (isOwn) return { kind: 'recorded', ref: row.ref, isError: false };
      return { kind: 'already-done', runId: row.run_id, at: row.settled_at ?? new Date() };
    case 'failed':
      if (isOwn) return { kind: 'recorded', ref: row.ref, isError: true };
      return sendOrWithdraw(tx, tenant, intent, row);
    case 'intended':
      return meetOpen(tx, tenant, intent, row);
    case 'unknown':
    case 'compensating':
    case 'compensated':
    case 'compensation-unknown':
      return { kind: 'unknown' };
  }
}

async function meetOpen(tx: Db, tenant: string, intent: Intent, row: EffectRow): Promise<Begun> {
  if ((intent.destinationHoldsKeys && intent.maySend) || (await isNeverSent(tx, tenant, intent.key))) {
    return sendOrWithdraw(tx, tenant, intent, row);
  }
  if (row.wait_ms > 0) return { kind: 'wait', waitMs: row.wait_ms };
  if (intent.canReconcile) {
    return { kind: 'reconcile', lease: await takeLease(tx, tenant, intent, row, 'reconcile') };
  }
  await markUnknown(tx, tenant, intent.key);
  return { kind: 'unknown' };
}

async function sendOrWithdraw(tx: Db, tenant: string, intent: Intent, row: EffectRow): Promise<Begun> {
  if (intent.maySend) return { kind: 'send', lease: await takeLease(tx, tenant, intent, row, 'send') };
  const lease = await takeLease(tx, tenant, intent, row, 'reconcile');
  // Closed at once: a process that dies here must not look as if it had sent.
  await closeAttempt(tx, tenant, lease, 'not-sent', 'the call was refused');
  return { kind: 'withdraw', lease };
}

async function isNeverSent(tx: Db, tenant: string, key: string): Promise<boolean> {
  const attempts = await tx
    .selectFrom('effect_attempts')
    .select('outcome')
    .where('tenant', '=', tenant)
    .where('key', '=', key)
    .execute();
  return attempts.every(({ outcome }) => outcome === 'not-sent' || outcome === 'never');
}
