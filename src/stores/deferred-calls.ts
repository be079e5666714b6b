import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { makeDeferredToken } from '../domain/run/deferred-token.ts';
import { hashId } from '../domain/sha-256.ts';
import { appendAudit } from './audit.ts';
import type { Db, DeferredState } from './database.ts';

/** Where a call stands. A call has one token, however often it is attempted. */
export type DeferredPosition = { readonly runId: string; readonly turn: number; readonly callIndex: number };

/** A call that has begun: how long its result may take, where the tool still says so, and what the tool returned. */
export type DeferredWait = { readonly timeoutMs: number | null; readonly noteRef: string };

/** What came of a deferred call. `principal` is who sent the result. */
export type DeferredSettlement = {
  readonly state: Extract<DeferredState, 'completed' | 'failed' | 'invalid' | 'expired'>;
  readonly principal: string;
  readonly messageId: string | null;
  /** Result that the model reads. */
  readonly ref: string;
};

/** A deferred call as it stands. */
export type StandingDeferred = DeferredPosition & {
  /** Tool name and major version. */
  readonly tool: string;
  readonly state: DeferredState;
  readonly deadlineAt: Date;
  readonly resultRef: string | null;
};

/** Keeps the calls whose results come from outside: the token of each, until when it waits, and who completed it. */
export function createDeferredCalls(db: Db) {
  return {
    open: (tenant: string, call: DeferredPosition & { readonly tool: string; readonly timeoutMs: number }) =>
      open(db, tenant, call),
    /** Gives the token of a call that an earlier attempt has opened; null where none has. */
    tokenOf: (tenant: string, position: DeferredPosition) => tokenOf(db, tenant, position),
    letWait: (tenant: string, token: string, wait: DeferredWait) => letWait(db, tenant, token, wait),
    /** Finds the same call of a run that this one has taken up, whose begun work left this note; null where there is none. */
    begunBefore: (tenant: string, call: DeferredPosition, noteRef: string) => begunBefore(db, tenant, call, noteRef),
    standing: (tenant: string, token: string) => standing(db, tenant, token),
    settle: (tenant: string, token: string, settlement: DeferredSettlement) => settle(db, tenant, token, settlement),
  };
}

/** Gives the token of a call, before its tool is called: random, written once, and the same on every attempt. */
async function open(
  db: Db,
  tenant: string,
  call: DeferredPosition & { readonly tool: string; readonly timeoutMs: number },
): Promise<string> {
  const { runId, turn, callIndex, tool, timeoutMs } = call;
  const secret = hashId(randomBytes(32).toString('hex'));
  await db
    .insertInto('deferred_calls')
    .values({
      tenant,
      token: makeDeferredToken({ runId, turn, index: callIndex }, secret),
      run_id: runId,
      turn,
      call_index: callIndex,
      tool,
      state: 'beginning',
      deadline_at: deadlineIn(timeoutMs),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const token = await tokenOf(db, tenant, call);
  if (token === null) throw new Error(`the deferred call of turn ${turn} was erased while it began`);
  return token;
}

async function tokenOf(db: Db, tenant: string, { runId, turn, callIndex }: DeferredPosition): Promise<string | null> {
  const row = await db
    .selectFrom('deferred_calls')
    .select('token')
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('turn', '=', turn)
    .where('call_index', '=', callIndex)
    .executeTakeFirst();
  return row?.token ?? null;
}

/**
 * Notes that the tool has begun what gives the result later. The time runs from here, and only once: a tool that could not be reached for a
 * day has its whole time left. Gives the deadline in milliseconds since the epoch.
 */
async function letWait(db: Db, tenant: string, token: string, { timeoutMs, noteRef }: DeferredWait): Promise<number> {
  await db
    .updateTable('deferred_calls')
    .set({ state: 'waiting', note_ref: noteRef, ...(timeoutMs === null ? {} : { deadline_at: deadlineIn(timeoutMs) }) })
    .where('tenant', '=', tenant)
    .where('token', '=', token)
    .where('state', '=', 'beginning')
    .execute();
  return (await standing(db, tenant, token)).deadlineAt.getTime();
}

async function begunBefore(
  db: Db,
  tenant: string,
  { runId, turn, callIndex }: DeferredPosition,
  noteRef: string,
): Promise<{ readonly resultRef: string | null } | null> {
  const { rows } = await sql<{ result_ref: string | null }>`
    with recursive line as (
      select retry_of as id from perdure.runs where tenant = ${tenant} and id = ${runId} and retry_of is not null
      union
      select r.retry_of from line join perdure.runs r on r.tenant = ${tenant} and r.id = line.id
       where r.retry_of is not null)
    select d.result_ref from line join perdure.deferred_calls d
        on d.tenant = ${tenant} and d.run_id = line.id and d.turn = ${turn} and d.call_index = ${callIndex}
     where d.note_ref = ${noteRef}
     order by d.result_ref is null, d.created_at limit 1`.execute(db);
  return rows[0] === undefined ? null : { resultRef: rows[0].result_ref };
}

async function standing(db: Db, tenant: string, token: string): Promise<StandingDeferred> {
  const row = await db
    .selectFrom('deferred_calls')
    .select(['run_id', 'turn', 'call_index', 'tool', 'state', 'deadline_at', 'result_ref'])
    .where('tenant', '=', tenant)
    .where('token', '=', token)
    .executeTakeFirstOrThrow(() => new Error('the deferred call has no row; it was erased'));
  return {
    runId: row.run_id,
    turn: row.turn,
    callIndex: row.call_index,
    tool: row.tool,
    state: row.state,
    deadlineAt: row.deadline_at,
    resultRef: row.result_ref,
  };
}

/** Writes what came of a call, once: the first stands. Gives the reference of the result that stands. */
async function settle(db: Db, tenant: string, token: string, settlement: DeferredSettlement): Promise<string> {
  return db.transaction().execute(async (tx) => {
    const { state, principal, messageId, ref } = settlement;
    const updated = await tx
      .updateTable('deferred_calls')
      .set({
        state,
        completed_by: principal,
        completed_at: sql<Date>`clock_timestamp()`,
        message_id: messageId,
        result_ref: ref,
      })
      .where('tenant', '=', tenant)
      .where('token', '=', token)
      .where('state', '=', 'waiting')
      .executeTakeFirst();
    const { runId, turn, callIndex, tool, ...call } = await standing(tx, tenant, token);
    if (updated.numUpdatedRows === 1n) {
      await appendAudit(tx, tenant, {
        principal,
        action: `tool.${state}`,
        target: runId,
        before: { state: 'waiting' },
        after: { state, tool, turn, callIndex, messageId },
      });
    }
    if (call.resultRef === null) throw new Error(`the deferred call stands as ${call.state}, which settles nothing`);
    return call.resultRef;
  });
}

/** Nobody waits for a result of a run that has ended. Pass the transaction of the end. */
export async function cancelDeferredCalls(tx: Db, tenant: string, runId: string): Promise<void> {
  await tx
    .updateTable('deferred_calls')
    .set({ state: 'cancelled', completed_by: 'perdure', completed_at: sql<Date>`clock_timestamp()` })
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .where('state', 'in', ['beginning', 'waiting'])
    .execute();
}

function deadlineIn(ms: number) {
  return sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'`;
}
