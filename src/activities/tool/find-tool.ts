import type { Agent } from '../../authoring/define-agent.ts';
import type { Tool } from '../../authoring/define-tool.ts';
import { toolActivityType } from '../../domain/tool/contract.ts';

/** Finds the tool that serves an activity type, older major versions included. */
export function findTool(agent: Agent | undefined, activityType: string): Tool | undefined {
  if (agent === undefined) return undefined;
  return [...agent.tools, ...(agent.previousTools ?? [])].find(
    ({ contract }) => toolActivityType(contract) === activityType,
  );
}
