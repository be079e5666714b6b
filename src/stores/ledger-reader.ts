import { sql } from 'kysely';
import type { JsonValue } from '../domain/json.ts';
import type {
  ApprovalFilter,
  ApprovalRecord,
  AuditRecord,
  EffectFilter,
  EffectRecord,
} from '../domain/schemas/run-records.ts';
import type { ApprovalState, Db, EffectState } from './database.ts';
import type { Transcripts } from './transcripts.ts';

/** Rows of one list, the newest first: what a person can look through. */
const ROWS_MAX = 500;

/** Lists approvals with the arguments that are asked about. */
export async function readApprovals(
  db: Db,
  transcripts: Transcripts,
  tenant: string | null,
  { agentRunId, id, state }: ApprovalFilter = {},
): Promise<readonly ApprovalRecord[]> {
  let query = db
    .selectFrom('approvals')
    .innerJoin('runs', (join) =>
      join.onRef('runs.tenant', '=', 'approvals.tenant').onRef('runs.id', '=', 'approvals.run_id'),
    )
    .selectAll('approvals')
    .select(['runs.agent', 'runs.scope'])
    .orderBy('approvals.requested_at', 'desc')
    .limit(ROWS_MAX);
  if (tenant !== null) query = query.where('approvals.tenant', '=', tenant);
  if (agentRunId !== undefined) query = query.where('approvals.run_id', '=', agentRunId);
  if (id !== undefined) query = query.where('approvals.id', '=', id);
  if (state !== undefined) query = query.where('approvals.state', '=', state as ApprovalState);
  const rows = await query.execute();
  return Promise.all(
    rows.map(async (row) => ({
      tenant: row.tenant,
      id: row.id,
      runId: row.run_id,
      agent: row.agent,
      turn: row.turn,
      tool: row.tool,
      args: await readArguments(transcripts, row.tenant, row.scope, row.args_ref),
      argsHash: row.args_hash,
      rule: row.rule,
      state: row.state,
      requestedAt: row.requested_at,
      deadlineAt: row.deadline_at,
      decidedBy: row.decided_by,
      reason: row.reason,
    })),
  );
}

/** Lists the effects of the ledger. */
export async function readEffects(
  db: Db,
  tenant: string | null,
  { agentRunId, key, state }: EffectFilter = {},
): Promise<readonly EffectRecord[]> {
  let query = db.selectFrom('effects').selectAll().orderBy('created_at', 'desc').limit(ROWS_MAX);
  if (tenant !== null) query = query.where('tenant', '=', tenant);
  if (agentRunId !== undefined) {
    // By the attempts: a business key's row belongs to the run that took it last, and each run that tried shall show it. A run that takes
    // up another one may have its unknown effect without an attempt.
    query = query.where((eb) =>
      eb('run_id', '=', agentRunId).or(
        eb.exists(
          eb
            .selectFrom('effect_attempts')
            .select('effect_attempts.key')
            .whereRef('effect_attempts.tenant', '=', 'effects.tenant')
            .whereRef('effect_attempts.key', '=', 'effects.key')
            .where('effect_attempts.run_id', '=', agentRunId),
        ),
      ),
    );
  }
  if (key !== undefined) query = query.where('key', '=', key);
  if (state !== undefined) query = query.where('state', '=', state as EffectState);
  const rows = await query.execute();
  return rows.map((row) => ({
    tenant: row.tenant,
    key: row.key,
    runId: row.run_id,
    turn: row.turn,
    callIndex: row.call_index,
    tool: row.tool,
    state: row.state,
    attempts: row.attempt,
    createdAt: row.created_at,
    settledAt: row.settled_at,
  }));
}

/** Lists who did what to a run, its approvals and its effects, in the order it happened. */
export async function readAudit(db: Db, tenant: string, runId: string): Promise<readonly AuditRecord[]> {
  const { rows } = await sql<AuditRecord>`
    select at, principal, action, target, before, after
      from perdure.audit
     where tenant = ${tenant}
       and target in (
         select ${runId}
         union all select id from perdure.approvals where tenant = ${tenant} and run_id = ${runId}
         union all select key from perdure.effect_attempts where tenant = ${tenant} and run_id = ${runId})
     order by seq`.execute(db);
  return rows;
}

/** Arguments that were erased are shown as null: the row outlives the text. */
async function readArguments(transcripts: Transcripts, tenant: string, scope: string, ref: string): Promise<JsonValue> {
  const part = await transcripts.readPart(tenant, scope, ref).catch(() => null);
  return part?.kind === 'tool-call' ? part.input : null;
}
