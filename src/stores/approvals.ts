import { sql } from 'kysely';
import { appendAudit } from './audit.ts';
import type { ApprovalState, Db } from './database.ts';

export type ApprovalRequest = {
  readonly id: string;
  readonly runId: string;
  readonly turn: number;
  readonly callIndex: number;
  readonly tool: string;
  readonly argsHash: string;
  readonly argsRef: string;
  readonly rule: string;
  readonly release: string;
  readonly deadlineMs: number;
  readonly onExpiry: 'reject' | 'approve';
};

export type ApprovalSettlement = {
  readonly id: string;
  readonly state: Exclude<ApprovalState, 'pending'>;
  readonly principal: string;
  readonly messageId: string | null;
  readonly reason: string | null;
  /** Hash and reference of the arguments that may now be sent; null unless approved. */
  readonly approvedHash: string | null;
  readonly approvedRef: string | null;
};

/** Keeps approvals: what a person is asked, and what was decided by whom for exactly which arguments. */
export function createApprovals(db: Db) {
  return {
    request: (tenant: string, asked: ApprovalRequest) => request(db, tenant, asked),
    settle: (tenant: string, settlement: ApprovalSettlement) => settle(db, tenant, settlement),
  };
}

/** Asks. Gives the deadline, in milliseconds since the epoch; asking again changes nothing. */
async function request(db: Db, tenant: string, asked: ApprovalRequest): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const inserted = await tx
      .insertInto('approvals')
      .values({
        tenant,
        id: asked.id,
        run_id: asked.runId,
        turn: asked.turn,
        call_index: asked.callIndex,
        tool: asked.tool,
        args_hash: asked.argsHash,
        args_ref: asked.argsRef,
        rule: asked.rule,
        release: asked.release,
        state: 'pending',
        on_expiry: asked.onExpiry,
        deadline_at: sql<Date>`clock_timestamp() + ${asked.deadlineMs} * interval '1 millisecond'`,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (inserted.numInsertedOrUpdatedRows === 1n) {
      await appendAudit(tx, tenant, {
        principal: 'perdure',
        action: 'approval.request',
        target: asked.id,
        after: { runId: asked.runId, tool: asked.tool, argsHash: asked.argsHash, rule: asked.rule },
      });
    }
    const row = await tx
      .selectFrom('approvals')
      .select('deadline_at')
      .where('tenant', '=', tenant)
      .where('id', '=', asked.id)
      .executeTakeFirstOrThrow();
    return row.deadline_at.getTime();
  });
}

/** Writes a decision, once: the first stands. Gives the state that stands and whether it is this message's. */
async function settle(db: Db, tenant: string, settlement: ApprovalSettlement): Promise<ApprovalState> {
  return db.transaction().execute(async (tx) => {
    const updated = await tx
      .updateTable('approvals')
      .set({
        state: settlement.state,
        decided_by: settlement.principal,
        decided_at: sql<Date>`clock_timestamp()`,
        message_id: settlement.messageId,
        reason: settlement.reason,
        approved_hash: settlement.approvedHash,
        approved_ref: settlement.approvedRef,
      })
      .where('tenant', '=', tenant)
      .where('id', '=', settlement.id)
      .where('state', '=', 'pending')
      .executeTakeFirst();
    if (updated.numUpdatedRows === 1n) {
      await appendAudit(tx, tenant, {
        principal: settlement.principal,
        action: `approval.${settlement.state}`,
        target: settlement.id,
        before: { state: 'pending' },
        after: { state: settlement.state, reason: settlement.reason, argsHash: settlement.approvedHash },
      });
    }
    const row = await tx
      .selectFrom('approvals')
      .select('state')
      .where('tenant', '=', tenant)
      .where('id', '=', settlement.id)
      .executeTakeFirstOrThrow();
    return row.state;
  });
}
