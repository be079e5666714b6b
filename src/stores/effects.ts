import { sql } from 'kysely';
import { type Failpoint, noFailpoint } from '../domain/failpoint.ts';
import { appendAudit } from './audit.ts';
import type { Database, Db, EffectState } from './database.ts';

/** A write that is about to be sent. */
export type Intent = {
  readonly key: string;
  readonly root: string;
  readonly runId: string;
  readonly turn: number;
  readonly callIndex: number;
  readonly tool: string;
  readonly contract: string;
  readonly argsHash: string;
  /** Milliseconds from now after which this attempt will not send. */
  readonly sendWithinMs: number;
  readonly worker: string;
  readonly principal: string;
  /** Approval that must stand approved for exactly these arguments. */
  readonly approvalId: string | null;
  /** Whether the destination returns the first result for a key it has seen: then an open attempt may be sent again at once. */
  readonly destinationHoldsKeys: boolean;
  readonly canReconcile: boolean;
};

/** The right to send or to reconcile, as long as no later attempt has taken it over. */
export type Lease = { readonly key: string; readonly attempt: number };

export type Begun =
  | { readonly kind: 'send'; readonly lease: Lease }
  | { readonly kind: 'reconcile'; readonly lease: Lease }
  /** The attempt before may still send: ask again when its deadline has passed. */
  | { readonly kind: 'wait'; readonly waitMs: number }
  | { readonly kind: 'recorded'; readonly ref: string; readonly isError: boolean }
  | { readonly kind: 'already-done'; readonly runId: string; readonly at: Date }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not-approved' };

/** How far behind the clock of a given-up attempt may run: its deadline is measured on its own monotonic clock, ours on the database's. */
const DEADLINE_MARGIN_MS = 250;

type Row = Pick<Database['effects'], never> & {
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

export type Effects = ReturnType<typeof createEffects>;

/**
 * The effect ledger: every write is a row before it is sent and after. `intended → succeeded | failed | unknown`, and `unknown` becomes
 * known only by reconciling, by the late reply itself, or by a person.
 */
export function createEffects(db: Db, failpoint: Failpoint = noFailpoint) {
  return {
    /**
     * Writes the intent of a write, with its audit record and the check of its approval, or says what is known of an earlier one.
     * An attempt takes the lease from the one before; whoever lost it must not send.
     */
    async begin(tenant: string, intent: Intent): Promise<Begun> {
      return db.transaction().execute(async (tx) => {
        if (!(await isApproved(tx, tenant, intent))) return { kind: 'not-approved' };
        if (await insertIntent(tx, tenant, intent)) {
          await openAttempt(tx, tenant, intent, 1);
          await appendAudit(tx, tenant, {
            principal: intent.principal,
            action: 'effect.intend',
            target: intent.key,
            after: { tool: intent.tool, runId: intent.runId, turn: intent.turn, argsHash: intent.argsHash },
          });
          await failpoint('effect:intending');
          return { kind: 'send', lease: { key: intent.key, attempt: 1 } };
        }
        return meetEarlier(tx, tenant, intent, await lockRow(tx, tenant, intent.key));
      });
    },

    /** Tells whether the lease still holds and its deadline has not passed: the last check before a send. */
    async holdsLease(tenant: string, lease: Lease): Promise<boolean> {
      const row = await sql<{ holds: boolean }>`
        select (attempt = ${lease.attempt} and state = 'intended' and send_deadline > clock_timestamp()) as holds
          from perdure.effects where tenant = ${tenant} and key = ${lease.key}`.execute(db);
      return row.rows[0]?.holds === true;
    },

    /** Opens a fresh attempt after the destination promised to refuse the earlier one. Null when the lease was lost. */
    async sendAfterNever(tenant: string, intent: Intent, lease: Lease): Promise<Lease | null> {
      return db.transaction().execute(async (tx) => {
        const row = await lockRow(tx, tenant, intent.key);
        if (row.state !== 'intended' || row.attempt !== lease.attempt) return null;
        await closeAttempt(tx, tenant, lease, 'never', null);
        return takeLease(tx, tenant, intent, row);
      });
    },

    /**
     * Writes the outcome of a write. The first outcome stands; a reply that comes after the effect was declared unknown is evidence and
     * settles it. Gives the reference that counts.
     */
    async settle(
      tenant: string,
      lease: Lease,
      outcome: { readonly state: 'succeeded' | 'failed'; readonly ref: string; readonly how: 'replied' | 'reconciled' },
    ): Promise<{ ref: string; state: EffectState }> {
      return db.transaction().execute(async (tx) => {
        const row = await lockRow(tx, tenant, lease.key);
        const closedAs = outcome.how === 'reconciled' ? 'reconciled' : outcome.state;
        await closeAttempt(tx, tenant, lease, closedAs, null);
        if (row.state !== 'intended' && row.state !== 'unknown') return { ref: row.ref ?? outcome.ref, state: row.state };
        await tx
          .updateTable('effects')
          .set({ state: outcome.state, ref: outcome.ref, settled_at: sql<Date>`clock_timestamp()` })
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
        return { ref: outcome.ref, state: outcome.state };
      });
    },

    /** Notes that an attempt ended without a known outcome (`lost`), or certainly did not send (`not-sent`). */
    async closeAttempt(tenant: string, lease: Lease, outcome: 'lost' | 'not-sent' | 'given-up', message: string): Promise<void> {
      await closeAttempt(db, tenant, lease, outcome, message);
    },

    /** Declares that nobody can tell whether the effect happened. */
    async declareUnknown(tenant: string, lease: Lease, message: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const row = await lockRow(tx, tenant, lease.key);
        if (row.state !== 'intended') return;
        await closeAttempt(tx, tenant, lease, 'lost', message);
        await markUnknown(tx, tenant, lease.key);
      });
    },

    /** Settles an unknown effect by a person's word. Gives the run to tell, or says why not. */
    async resolve(
      tenant: string,
      key: string,
      as: { readonly state: 'succeeded' | 'failed'; readonly ref: string; readonly principal: string; readonly reason: string },
    ): Promise<{ kind: 'resolved' } | { kind: 'not-unknown'; state: EffectState }> {
      return db.transaction().execute(async (tx) => {
        const row = await lockRow(tx, tenant, key);
        if (row.state !== 'unknown') return { kind: 'not-unknown', state: row.state };
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
          before: { state: 'unknown' },
          after: { state: as.state, reason: as.reason },
        });
        return { kind: 'resolved' };
      });
    },
  };
}

/** Decides what a second meeting with a key means. The row is locked. */
async function meetEarlier(tx: Db, tenant: string, intent: Intent, row: Row): Promise<Begun> {
  const isSameCall = row.root === intent.root && row.turn === intent.turn && row.call_index === intent.callIndex;
  switch (row.state) {
    case 'succeeded':
      if (isSameCall && row.ref !== null) return { kind: 'recorded', ref: row.ref, isError: false };
      return { kind: 'already-done', runId: row.run_id, at: row.settled_at ?? new Date() };
    case 'failed':
      if (isSameCall && row.ref !== null) return { kind: 'recorded', ref: row.ref, isError: true };
      return send(tx, tenant, intent, row);
    case 'intended':
      return meetOpen(tx, tenant, intent, row);
    case 'unknown':
    case 'compensating':
    case 'compensated':
    case 'compensation-unknown':
      return { kind: 'unknown' };
  }
}

async function meetOpen(tx: Db, tenant: string, intent: Intent, row: Row): Promise<Begun> {
  const attempts = await tx
    .selectFrom('effect_attempts')
    .select('outcome')
    .where('tenant', '=', tenant)
    .where('key', '=', intent.key)
    .execute();
  const isNoneSent = attempts.every(({ outcome }) => outcome === 'not-sent' || outcome === 'never');
  if (isNoneSent || intent.destinationHoldsKeys) return send(tx, tenant, intent, row);
  if (row.wait_ms > 0) return { kind: 'wait', waitMs: row.wait_ms };
  if (intent.canReconcile) {
    return { kind: 'reconcile', lease: await takeLease(tx, tenant, intent, row) };
  }
  await markUnknown(tx, tenant, intent.key);
  return { kind: 'unknown' };
}

async function send(tx: Db, tenant: string, intent: Intent, row: Row): Promise<Begun> {
  return { kind: 'send', lease: await takeLease(tx, tenant, intent, row) };
}

async function isApproved(tx: Db, tenant: string, intent: Intent): Promise<boolean> {
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

async function insertIntent(tx: Db, tenant: string, intent: Intent): Promise<boolean> {
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

async function lockRow(tx: Db, tenant: string, key: string): Promise<Row> {
  return tx
    .selectFrom('effects')
    .select(['state', 'attempt', 'run_id', 'turn', 'call_index', 'root', 'ref', 'settled_at'])
    .select(
      sql<number>`greatest(0, extract(epoch from send_deadline - clock_timestamp()) * 1000 + ${DEADLINE_MARGIN_MS})::int`.as('wait_ms'),
    )
    .where('tenant', '=', tenant)
    .where('key', '=', key)
    .forUpdate()
    .executeTakeFirstOrThrow(() => new Error(`effect ${key} is not in the ledger`));
}

/** Gives the next attempt the lease and a deadline of its own. The one before is fenced off from here on. */
async function takeLease(tx: Db, tenant: string, intent: Intent, row: Row): Promise<Lease> {
  const attempt = row.attempt + 1;
  await tx
    .updateTable('effects')
    .set({
      state: 'intended',
      attempt,
      // A reconciling attempt sends nothing, so the deadline that others must wait for stays the last sender's or this one's.
      send_deadline: deadlineIn(intent.sendWithinMs),
      ref: null,
      settled_at: null,
    })
    .where('tenant', '=', tenant)
    .where('key', '=', intent.key)
    .execute();
  await openAttempt(tx, tenant, intent, attempt);
  return { key: intent.key, attempt };
}

async function openAttempt(tx: Db, tenant: string, intent: Intent, attempt: number): Promise<void> {
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
}

async function closeAttempt(
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

async function markUnknown(tx: Db, tenant: string, key: string): Promise<void> {
  await tx.updateTable('effects').set({ state: 'unknown' }).where('tenant', '=', tenant).where('key', '=', key).execute();
  await appendAudit(tx, tenant, { principal: 'perdure', action: 'effect.unknown', target: key, after: { state: 'unknown' } });
}

function deadlineIn(ms: number) {
  return sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'`;
}
