import type { Agent } from '../../authoring/define-agent.ts';
import { picoFromUsd } from '../../domain/model/price.ts';
import { type ModelChoice, type ModelPolicy, type TierChoice, TIERS } from '../../domain/model/model-policy.ts';
import type { Release } from '../../domain/release/release.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import type { ToolContract } from '../../domain/tool/contract.ts';

/** The built-in tool with which a model asks the person it works for. The run waits for the answer. */
export const ASK_PERSON: ToolContract = {
  name: 'askPerson',
  version: '1.0.0',
  description:
    'Asks the person you work for one question and waits for the answer. Use it only when you cannot go on without something that no other tool can tell you.',
  inputSchema: {
    type: 'object',
    properties: { question: { type: 'string', minLength: 1, maxLength: 2000 } },
    required: ['question'],
    additionalProperties: false,
  },
  outputSchema: { type: 'string' },
  effect: 'read',
};

/** A run may work for a minute whatever its agent's latency: the first call of a cold provider takes seconds. */
const ACTIVE_MS_MIN = 60_000;

/** Builds the release of an agent as this worker has it. The same agent on the same models gives the same release. */
export function buildRelease(agent: Agent, effectiveModelId: (id: string) => string): Release {
  const choose = (choice: ModelChoice): ModelChoice => ({ ...choice, id: effectiveModelId(choice.id) });
  const chooseAll = ({ fallbacks, ...choice }: TierChoice): TierChoice => ({
    ...choose(choice),
    ...(fallbacks === undefined ? {} : { fallbacks: fallbacks.map(choose) }),
  });
  const tiers = TIERS.flatMap((tier) =>
    agent.models[tier] === undefined ? [] : [[tier, chooseAll(agent.models[tier])]],
  );
  const { use } = agent.models;
  const models = { ...Object.fromEntries(tiers), ...(use === undefined ? {} : { use }) } as ModelPolicy;
  return {
    agent: agent.name,
    instructions: agent.instructions,
    models,
    tools: [...agent.tools.map((tool) => tool.contract), ...(agent.asksPerson === undefined ? [] : [ASK_PERSON])],
    guardrails: agent.guardrails ?? [],
    approvals: agent.approvals ?? [],
    limits: {
      costPico: String(picoFromUsd(agent.requirements.costPerRunUsd)),
      tokens: agent.limits?.tokens ?? 2_000_000,
      turns: Math.min(agent.limits?.turns ?? 50, LIMITS.turnsMax),
      toolCalls: agent.limits?.toolCalls ?? 200,
      activeMs: Math.max(ACTIVE_MS_MIN, 10 * agent.requirements.latencyP95Ms),
    },
    reflection: agent.reflection ?? null,
    ...(agent.exit === undefined ? {} : { exit: agent.exit }),
    ...(agent.output === undefined ? {} : { output: { schema: agent.output.schema } }),
  };
}
