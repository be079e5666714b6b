import { Client, WorkflowNotFoundError } from '@temporalio/client';
import type { OpenRuns } from '../open-runs.ts';
import { countActions } from './count-actions.ts';

/** What a run cost of Temporal: actions over all executions of its chain, as far as histories show them. */
export type TemporalActions =
  | { readonly kind: 'counted'; readonly actions: number; readonly executions: number }
  | { readonly kind: 'not-known'; readonly why: string };

/** Milliseconds for all histories of a run together. What the rows say must not wait for Temporal. */
const COUNT_MS = 15_000;

/** Clocks of Temporal and the database that differ by less are taken for equal. */
const SKEW_MS = 60_000;

/** State of a pending activity that waits for its next attempt: it has begun one fewer than its counter says. */
const WAITS_FOR_ATTEMPT = 1;

/** Counts the actions of a run, or says why they are not known. */
export async function countTemporalActions(
  { connection, temporal }: Pick<OpenRuns, 'connection' | 'temporal'>,
  runId: string,
  createdAt: Date,
): Promise<TemporalActions> {
  const client = new Client({ connection, namespace: temporal.namespace });
  try {
    return await client.withDeadline(Date.now() + COUNT_MS, () => count(client, runId, createdAt));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { kind: 'not-known', why: 'Temporal has forgotten the run' };
    return { kind: 'not-known', why: `Temporal does not answer (${(error as Error).message})` };
  }
}

async function count(client: Client, runId: string, createdAt: Date): Promise<TemporalActions> {
  const { runId: newest, raw } = await client.workflow.getHandle(runId).describe();
  const pending = (raw.pendingActivities ?? []).map(
    ({ attempt, state }) => (attempt ?? 1) - (Number(state) === WAITS_FOR_ATTEMPT ? 1 : 0),
  );
  const executions = new Map<string, number>();
  const toRead = [newest, ...(await listExecutions(client, runId))];
  let firstStart = Number.POSITIVE_INFINITY;
  for (const execution of toRead) {
    if (executions.has(execution)) continue;
    const { events } = await client.workflow.getHandle(runId, execution).fetchHistory();
    executions.set(execution, countActions(events ?? []));
    const [first] = events ?? [];
    firstStart = Math.min(firstStart, Number(first?.eventTime?.seconds ?? 0) * 1_000);
    const before = first?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
    if (before) toRead.push(before);
  }
  // Whoever starts a forgotten run again gets a new execution, which gives the earlier end.
  if (firstStart > createdAt.getTime() + SKEW_MS) {
    return { kind: 'not-known', why: 'Temporal has forgotten the first execution' };
  }
  const actions = [...executions.values(), ...pending].reduce((sum, each) => sum + each, 0);
  return { kind: 'counted', actions, executions: executions.size };
}

/** A run that was started again after its end has executions that do not continue one another. The list may lag, so it is not all. */
async function listExecutions(client: Client, runId: string): Promise<readonly string[]> {
  if (!/^[\w-]+$/.test(runId)) return [];
  const found: string[] = [];
  for await (const { runId: execution } of client.workflow.list({ query: `WorkflowId = '${runId}'` })) {
    found.push(execution);
  }
  return found;
}
