import type { TopUp } from '../domain/run/message.ts';
import type { OperatorAction } from '../domain/run/run.ts';
import { messageHash } from '../domain/run/messages.ts';
import { appendAudit, type AuditEntry } from './audit.ts';
import type { Db } from './database.ts';

export type RunMessageClaim = {
  readonly runId: string;
  readonly id: string;
  readonly turn: number;
  readonly kind: string;
  readonly principal: string;
  /** Where its text was written; null where it has none, or was not let through. */
  readonly ref?: string | null;
  /** References of what came with it: files, and notes in the place of those that were left out. */
  readonly files?: readonly string[];
};

/** Keeps the ids of messages a run has perceived, for ever: what the run's own memory forgets is caught here. */
export function createRunMessages(db: Db) {
  return {
    /**
     * Claims a message for a turn of a run. True for the first claim and for its retries, which come with the same turn; false for a
     * message that an earlier turn has perceived. `audit` is written with the first claim.
     */
    async claim(tenant: string, message: RunMessageClaim, audit: AuditEntry | null): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        if (!(await insertClaim(tx, tenant, message))) return isClaimOf(tx, tenant, message);
        if (audit !== null) await appendAudit(tx, tenant, audit);
        return true;
      });
    },

    /** Writes the actions of operators to the audit, each once however often it is told. */
    async recordActions(
      tenant: string,
      runId: string,
      turn: number,
      actions: readonly OperatorAction[],
    ): Promise<void> {
      for (const { id, kind, principal } of actions) {
        await db.transaction().execute(async (tx) => {
          if (!(await insertClaim(tx, tenant, { runId, id, turn, kind, principal }))) return;
          await appendAudit(tx, tenant, { principal, action: `run.${kind}`, target: runId });
        });
      }
    },

    /** Raises a run's budget account once per message id. The claim, the account and the audit are one transaction. False as for `claim`. */
    async topUp(tenant: string, message: RunMessageClaim, topUp: TopUp): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        if (!(await insertClaim(tx, tenant, message))) return isClaimOf(tx, tenant, message);
        await tx
          .updateTable('budget_accounts')
          .set((eb) => ({
            cap_pico: eb('cap_pico', '+', topUp.costPico ?? '0'),
            cap_tokens: eb('cap_tokens', '+', String(topUp.tokens ?? 0)),
            // A higher cap is a new line to cross.
            ...(topUp.costPico === undefined && topUp.tokens === undefined ? {} : { warned_at: null }),
          }))
          .where('tenant', '=', tenant)
          .where('kind', '=', 'run')
          .where('id', '=', message.runId)
          .execute();
        await appendAudit(tx, tenant, {
          principal: message.principal,
          action: 'budget.top-up',
          target: message.runId,
          after: topUp,
        });
        return true;
      });
    },
  };
}

/** Tells whether the claim that stands is this turn's own: the retry of a perception that was cut off. */
async function isClaimOf(db: Db, tenant: string, message: RunMessageClaim): Promise<boolean> {
  const row = await db
    .selectFrom('run_messages')
    .select('turn')
    .where('tenant', '=', tenant)
    .where('run_id', '=', message.runId)
    .where('id_hash', '=', messageHash(message.id))
    .executeTakeFirst();
  return row?.turn === message.turn;
}

async function insertClaim(db: Db, tenant: string, message: RunMessageClaim): Promise<boolean> {
  const inserted = await db
    .insertInto('run_messages')
    .values({
      tenant,
      run_id: message.runId,
      id_hash: messageHash(message.id),
      turn: message.turn,
      kind: message.kind,
      principal: message.principal,
      ref: message.ref ?? null,
      files: message.files === undefined || message.files.length === 0 ? null : [...message.files],
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}
