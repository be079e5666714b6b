import type { Agent } from '../authoring/define-agent.ts';
import { tierOf } from '../domain/model/model-policy.ts';

/** Gives an agent the script of its name as its model. The rest of its release stays as it is. */
export function scriptedAgent(agent: Agent): Agent {
  const tier = tierOf(agent.models, undefined);
  const choice = { ...(agent.models[tier] ?? agent.models.standard), id: `scripted:${agent.name}` };
  return { ...agent, models: { ...agent.models, [tier]: choice } };
}

/** Gives an agent the recording of its name as its model. The rest of its release stays as it is. */
export function recordedAgent(agent: Agent): Agent {
  const standard = { ...agent.models.standard, id: `recorded:${agent.name}` };
  return { ...agent, models: { ...agent.models, standard } };
}
