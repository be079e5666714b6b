import type { RecordEndInput, RecordProgressInput } from '../../domain/run/activity-inputs.ts';
import type { RunEnd } from '../../domain/run/run-end.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';

/** Writes a run's phase and counters to its row. */
export async function recordProgress({ stores }: ActivityDependencies, input: RecordProgressInput): Promise<void> {
  await runActivity(input, async () => {
    const id = agentRunIdOfActivity();
    await stores.runMessages.recordActions(input.tenant, id, input.turns, input.actions);
    await stores.runs.recordProgress(input.tenant, id, input);
  });
}

/** Writes a run's end to its row, once, and gives the end that stands, with what the account says it cost. */
export async function recordEnd(
  { stores, streams, rateLimits }: ActivityDependencies,
  input: RecordEndInput,
): Promise<RunEnd> {
  return runActivity(input, async () => {
    const id = agentRunIdOfActivity();
    await stores.runMessages.recordActions(input.tenant, id, input.end.turns, input.actions);
    // Those who wait behind its call need not wait for it. Without this its place is lost after some seconds.
    if (rateLimits !== undefined && rateLimits.rules.length > 0) await stores.rateLimits.leave(input.tenant, id);
    const end = await stores.runs.recordEnd(input.tenant, id, input.head, input.end, input.principal);
    streams?.settled(id);
    return end;
  });
}
