import type { Tool } from '../../authoring/define-tool.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { toApplicationFailure } from '../failures.ts';
import { findTool } from './find-tool.ts';

/**
 * Finds the tool that serves an activity type for a run.
 *
 * @throws ApplicationFailure `tool-missing`, mendable, when this worker does not have it.
 */
export function servedTool({ agents }: ActivityDependencies, facts: RunFacts, activityType: string): Tool {
  const tool = findTool(agents.get(facts.agent), activityType);
  if (tool !== undefined) return tool;
  const message = `no worker serves the tool ${activityType} of the agent ${facts.agent}`;
  const mend = `Start a worker that has ${activityType}; the run then goes on by itself.`;
  throw toApplicationFailure(
    { cause: 'tool-missing', disposition: 'mendable', message, mend, sent: 'no' },
    { retryable: false },
  );
}
