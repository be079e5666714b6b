import { sql } from 'kysely';
import type { RunFilter, RunRecord } from '../domain/schemas/run-records.ts';
import type { Phase } from '../domain/run/phase.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { Blocked } from '../domain/run/run.ts';
import type { Db } from './database.ts';

/** Rows of one list; more is another page. */
const RUNS_LISTED = 20;
const RUNS_LISTED_MAX = 1_000;

type Row = {
  readonly tenant: string;
  readonly id: string;
  readonly agent: string;
  readonly kind: string;
  readonly mode: string;
  readonly release: string;
  readonly principal: string;
  readonly phase: Phase;
  readonly blocked: Blocked | null;
  readonly run_end: RunEnd | null;
  readonly turns: number;
  readonly tool_calls: number;
  readonly spent_tokens: string | null;
  readonly spent_pico: string | null;
  readonly held_pico: string | null;
  readonly cap_pico: string | null;
  readonly is_cost_simulated: boolean;
  readonly created_at: Date;
  readonly phase_at: Date;
  readonly ended_at: Date | null;
  readonly deadline_at: Date;
  readonly retry_of: string | null;
  readonly taken_turns: number | null;
  readonly retried_as: readonly string[];
};

/** Finds the tenant of a run by its id alone. Ids are hashes with the tenant in them, so two tenants never share one. */
export async function findTenant(db: Db, id: string): Promise<string | null> {
  const row = await db.selectFrom('runs').select('tenant').where('id', '=', id).executeTakeFirst();
  return row?.tenant ?? null;
}

/** Reads the record of a run. */
export async function readRun(db: Db, tenant: string, id: string): Promise<RunRecord | null> {
  const rows = await selectRuns(db, sql`r.tenant = ${tenant} and r.id = ${id}`, 1);
  return rows[0] ?? null;
}

/** Lists the records of runs, the newest first. */
export async function readRuns(
  db: Db,
  tenant: string | null,
  { agent, phase, limit = RUNS_LISTED }: RunFilter = {},
): Promise<readonly RunRecord[]> {
  const conditions = [
    sql<boolean>`true`,
    ...(tenant === null ? [] : [sql<boolean>`r.tenant = ${tenant}`]),
    ...(agent === undefined ? [] : [sql<boolean>`r.agent = ${agent}`]),
    ...(phase === undefined ? [] : [sql<boolean>`r.phase = ${phase}`]),
  ];
  return selectRuns(db, sql`${sql.join(conditions, sql` and `)}`, Math.min(Math.max(1, limit), RUNS_LISTED_MAX));
}

/** The row says how far a run was at its last phase change; its observations say how far it is. */
async function selectRuns(db: Db, condition: ReturnType<typeof sql>, limit: number): Promise<readonly RunRecord[]> {
  const { rows } = await sql<Row>`
    select r.tenant, r.id, r.agent, r.kind, r.mode, r.release, r.principal, r.phase, r.blocked, r.run_end,
           greatest(r.turns, seen.turns) as turns, greatest(r.tool_calls, seen.tool_calls) as tool_calls,
           a.spent_tokens, a.spent_pico, a.held_pico, a.cap_pico, seen.is_cost_simulated,
           r.created_at, r.phase_at, r.ended_at, r.deadline_at,
           r.retry_of, (r.taken ->> 'turn')::int as taken_turns,
           array(select s.id from perdure.runs s where s.tenant = r.tenant and s.retry_of = r.id order by s.created_at) as retried_as
      from perdure.runs r
      left join perdure.budget_accounts a on a.tenant = r.tenant and a.kind = 'run' and a.id = r.id
      left join lateral (
        select coalesce(max(o.turn) filter (where o.kind = 'model' and o.outcome = 'replied'), 0) as turns,
               (count(distinct (o.turn, o.call_index)) filter (where o.kind = 'tool' and o.closed_at is not null))::int as tool_calls,
               coalesce(bool_or(o.is_cost_simulated), false) as is_cost_simulated
          from perdure.observations o
         where o.tenant = r.tenant and o.run_id = r.id and o.opened_at >= r.created_at - interval '1 minute') seen on true
     where ${condition}
     order by r.created_at desc
     limit ${limit}`.execute(db);
  return rows.map(toRecord);
}

function toRecord(row: Row): RunRecord {
  return {
    tenant: row.tenant,
    id: row.id,
    agent: row.agent,
    kind: row.kind,
    mode: row.mode,
    release: row.release,
    principal: row.principal,
    phase: row.phase,
    blocked: row.blocked,
    end: row.run_end,
    turns: row.turns,
    toolCalls: row.tool_calls,
    tokens: Number(row.spent_tokens ?? 0),
    costPico: row.spent_pico ?? '0',
    heldPico: row.held_pico ?? '0',
    capPico: row.cap_pico ?? '0',
    isCostSimulated: row.is_cost_simulated,
    createdAt: row.created_at,
    phaseAt: row.phase_at,
    endedAt: row.ended_at,
    deadlineAt: row.deadline_at,
    retryOf: row.retry_of === null ? null : { id: row.retry_of, fromTurn: (row.taken_turns ?? 0) + 1 },
    retriedAs: row.retried_as,
  };
}
