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
  /** Result that the model reads instead of the call's; null when it was approved. */
  readonly resultRef: string | null;
};

/** An approval as it stands after a settlement, this one or an earlier one. */
export type StandingApproval = {
  readonly state: ApprovalState;
  readonly argsHash: string;
  readonly approvedHash: string | null;
  readonly approvedRef: string | null;
  readonly resultRef: string | null;
};

/** Keeps approvals: what a person is asked, and what was decided by whom for exactly which arguments. */
export function createApprovals(db: Db) {
  return {
    request: (tenant: string, asked: ApprovalRequest) => request(db, tenant, asked),
    settle: (tenant: string, settlement: ApprovalSettlement) => settle(db, tenant, settlement),
    /** Gives an approval as it stands. */
    standing: (tenant: string, id: string) => standing(db, tenant, id),
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

/** Writes a decision, once: the first stands. Gives the approval as it stands. */
async function settle(db: Db, tenant: string, settlement: ApprovalSettlement): Promise<StandingApproval> {
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
        result_ref: settlement.resultRef,
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
    return standing(tx, tenant, settlement.id);
  });
}

async function standing(db: Db, tenant: string, id: string): Promise<StandingApproval> {
  const row = await db
    .selectFrom('approvals')
    .select(['state', 'args_hash', 'approved_hash', 'approved_ref', 'result_ref'])
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .executeTakeFirstOrThrow(() => new Error(`approval ${id} has no row; it was not requested, or it was erased`));
  return {
    state: row.state,
    argsHash: row.args_hash,
    approvedHash: row.approved_hash,
    approvedRef: row.approved_ref,
    resultRef: row.result_ref,
  };
}
