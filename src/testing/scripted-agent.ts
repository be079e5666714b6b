import type { Agent } from '../authoring/define-agent.ts';
import { choicesOf, type ModelChoice, tierOf, TIERS } from '../domain/model/model-policy.ts';

/** Gives an agent the script of its name as its model. The rest of its release stays as it is. */
export function scriptedAgent(agent: Agent): Agent {
  const tier = tierOf(agent.models, undefined);
  const choice = { ...(agent.models[tier] ?? agent.models.standard), id: `scripted:${agent.name}` };
  return { ...agent, models: { ...agent.models, [tier]: choice } };
}

/**
 * Gives an agent the recording of its name in the place of every model that it has: of the one that it has, whichever was recorded; of several
 * each by its own name. The rest of its release stays as it is.
 */
export function recordedAgent(agent: Agent): Agent {
  const ids = new Set(choicesOf(agent.models).map(({ choice }) => choice.id));
  const played = <Choice extends ModelChoice>(choice: Choice): Choice => {
    return { ...choice, id: ids.size === 1 ? `recorded:${agent.name}` : `recorded:${agent.name}:${choice.id}` };
  };
  const tiers = TIERS.flatMap((tier) => {
    const choice = agent.models[tier];
    if (choice === undefined) return [];
    const { fallbacks } = choice;
    return [[tier, { ...played(choice), ...(fallbacks === undefined ? {} : { fallbacks: fallbacks.map(played) }) }]];
  });
  return { ...agent, models: { ...agent.models, ...Object.fromEntries(tiers) } };
}
