import type { Agent } from '../authoring/define-agent.ts';

/** Gives an agent the script of its name as its model. The rest of its release stays as it is. */
export function scriptedAgent(agent: Agent): Agent {
  const standard = { ...agent.models.standard, id: `scripted:${agent.name}` };
  return { ...agent, models: { ...agent.models, standard } };
}
