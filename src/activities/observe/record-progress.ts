import type { RecordEndInput, RecordProgressInput } from '../../domain/run/activity-inputs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';

/** Writes a run's phase and counters to its row. */
export async function recordProgress({ stores }: ActivityDependencies, input: RecordProgressInput): Promise<void> {
  await runActivity(input, () => stores.runs.recordProgress(input.tenant, agentRunIdOfActivity(), input));
}

/** Writes a run's end to its row, once. */
export async function recordEnd({ stores }: ActivityDependencies, input: RecordEndInput): Promise<void> {
  await runActivity(input, () =>
    stores.runs.recordEnd(input.tenant, agentRunIdOfActivity(), input.head, input.end, input.principal),
  );
}
