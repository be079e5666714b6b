import type { JsonValue } from '../domain/json.ts';
import type { DeferredFilter, DeferredRecord } from '../domain/schemas/run-records.ts';
import type { Db, DeferredState } from './database.ts';
import type { Transcripts } from './transcripts.ts';

/** Calls of one list, the next deadline first: what a person can look through. */
const CALLS_LISTED_MAX = 500;

/** Lists deferred calls, with what their tools noted when they began. */
export async function readDeferredCalls(
  db: Db,
  transcripts: Transcripts,
  tenant: string | null,
  { agentRunId, state }: DeferredFilter = {},
): Promise<readonly DeferredRecord[]> {
  let query = db
    .selectFrom('deferred_calls')
    .innerJoin('runs', (join) =>
      join.onRef('runs.tenant', '=', 'deferred_calls.tenant').onRef('runs.id', '=', 'deferred_calls.run_id'),
    )
    .selectAll('deferred_calls')
    .select(['runs.agent', 'runs.scope'])
    .orderBy('deferred_calls.deadline_at')
    .orderBy('deferred_calls.token')
    .limit(CALLS_LISTED_MAX);
  if (tenant !== null) query = query.where('deferred_calls.tenant', '=', tenant);
  if (agentRunId !== undefined) query = query.where('deferred_calls.run_id', '=', agentRunId);
  if (state !== undefined) query = query.where('deferred_calls.state', '=', state as DeferredState);
  const rows = await query.execute();
  return Promise.all(
    rows.map(async (row) => ({
      tenant: row.tenant,
      token: row.token,
      runId: row.run_id,
      agent: row.agent,
      turn: row.turn,
      callIndex: row.call_index,
      tool: row.tool,
      state: row.state,
      note: await readNote(transcripts, row.tenant, row.scope, row.note_ref),
      createdAt: row.created_at,
      deadlineAt: row.deadline_at,
      completedBy: row.completed_by,
      completedAt: row.completed_at,
    })),
  );
}

/** A note that was erased is shown as null: the row outlives the text. */
async function readNote(
  transcripts: Transcripts,
  tenant: string,
  scope: string,
  ref: string | null,
): Promise<JsonValue> {
  const part = ref === null ? null : await transcripts.readPart(tenant, scope, ref).catch(() => null);
  return part?.kind === 'tool-result' ? part.output : null;
}
