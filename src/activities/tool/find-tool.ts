import type { Agent } from '../../authoring/define-agent.ts';
import type { Tool } from '../../authoring/define-tool.ts';
import { toolActivityType } from '../../domain/tool/contract.ts';

/** Lists the tools that a worker serves for an agent: those of new runs, and older major versions that earlier runs go on with. */
export function servedTools(agent: Agent): readonly Tool[] {
  return [...agent.tools, ...(agent.previousTools ?? [])];
}

/** Finds the tool that serves an activity type, older major versions included. */
export function findTool(agent: Agent | undefined, activityType: string): Tool | undefined {
  if (agent === undefined) return undefined;
  return servedTools(agent).find(({ contract }) => toolActivityType(contract) === activityType);
}
