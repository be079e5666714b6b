import { isDeeperThan } from '../json.ts';
import { promptCacheProblem } from './prompt-cache.ts';
import {
  choicesOf,
  type ModelChoice,
  type ModelPolicy,
  REASONING_EFFORTS,
  type TierChoice,
  TIERS,
} from './model-policy.ts';

/** Fallbacks of one tier. Each that cannot answer costs the run a request; more than a handful is no chain but a search. */
const FALLBACKS_MAX = 5;

/** Stop sequences of a choice: no provider takes more. */
const STOP_SEQUENCES_MAX = 16;

/** Levels of provider options; what providers have is two or three deep. */
const OPTIONS_DEPTH_MAX = 10;

const POLICY_MEMBERS: readonly string[] = [...TIERS, 'use'];

/** What a choice can say. The type makes this list whole. */
const CHOICE_MEMBERS: { readonly [member in keyof Required<TierChoice>]: true } = {
  id: true,
  outputTokensMax: true,
  contextTokensMax: true,
  temperature: true,
  topP: true,
  topK: true,
  seed: true,
  presencePenalty: true,
  frequencyPenalty: true,
  stopSequences: true,
  reasoning: true,
  providerOptions: true,
  reads: true,
  promptCache: true,
  fallbacks: true,
};

/** Says what to change in a model policy, or null when it is sound. */
export function policyProblem(policy: ModelPolicy): string | null {
  if (!isPlainObject(policy)) return 'models must name a model for each tier, at least models.standard';
  const stranger = Object.keys(policy).find((member) => !POLICY_MEMBERS.includes(member));
  if (stranger !== undefined) {
    return `models.${stranger} is no tier: the tiers are ${TIERS.join(', ')}, and use says which of them answers`;
  }
  if (policy.standard === undefined) {
    return 'models.standard must be there: it is the model of every tier that has none of its own';
  }
  if (policy.use !== undefined && policy[policy.use] === undefined) {
    return `models.use is ${JSON.stringify(policy.use)}, for which models has no choice: add models.${policy.use}, or leave use out`;
  }
  for (const tier of TIERS) {
    const fallbacks = policy[tier]?.fallbacks ?? [];
    if (!Array.isArray(fallbacks)) return `models.${tier}.fallbacks must be a list of models`;
    if (fallbacks.length > FALLBACKS_MAX) {
      return `models.${tier}.fallbacks has ${fallbacks.length} models: name at most ${FALLBACKS_MAX}`;
    }
    if (fallbacks.some((each) => isPlainObject(each) && 'fallbacks' in each)) {
      return `models.${tier}.fallbacks has a model with fallbacks of its own: write one list, in order`;
    }
    const ids = [policy[tier]?.id, ...fallbacks.map((each) => each?.id)];
    const twice = ids.find((id, index) => id !== undefined && ids.indexOf(id) !== index);
    if (twice !== undefined) return `models.${tier} names ${twice} twice: a model cannot stand in for itself`;
  }
  for (const { place, choice } of choicesOf(policy)) {
    if (!isPlainObject(choice)) return `${place} must be a model, with id, outputTokensMax and contextTokensMax`;
    const problem = choiceProblem(choice);
    if (problem !== null) return `${place}.${problem}`;
  }
  return null;
}

/** Begins with the member that is wrong. */
function choiceProblem(choice: ModelChoice): string | null {
  const stranger = Object.keys(choice).find((member) => !Object.hasOwn(CHOICE_MEMBERS, member));
  if (stranger !== undefined) {
    return `${stranger} is nothing that a model can be given; there are ${Object.keys(CHOICE_MEMBERS).join(', ')}`;
  }
  if (typeof choice.id !== 'string' || !/^[^:\s]+:\S+$/.test(choice.id))
    return `id must be provider:model, such as "openai:gpt-5-mini"`;
  return (
    missingProblem('outputTokensMax', choice.outputTokensMax) ??
    missingProblem('contextTokensMax', choice.contextTokensMax) ??
    wholeProblem('outputTokensMax', choice.outputTokensMax, 1) ??
    wholeProblem('contextTokensMax', choice.contextTokensMax, 1) ??
    rangeProblem('temperature', choice.temperature, 0, 2) ??
    rangeProblem('topP', choice.topP, 0, 1) ??
    (choice.topP === 0 ? 'topP must be above 0: nothing could be written' : null) ??
    wholeProblem('topK', choice.topK, 1) ??
    wholeProblem('seed', choice.seed, 0) ??
    rangeProblem('presencePenalty', choice.presencePenalty, -2, 2) ??
    rangeProblem('frequencyPenalty', choice.frequencyPenalty, -2, 2) ??
    stopProblem(choice.stopSequences) ??
    reasoningProblem(choice.reasoning) ??
    optionsProblem(choice.providerOptions) ??
    promptCacheProblem(choice.promptCache)
  );
}

/** Without a bound nothing could be reserved for a call. */
function missingProblem(name: string, value: number | undefined): string | null {
  return value === undefined ? `${name} must be there, as a number of tokens` : null;
}

function wholeProblem(name: string, value: number | undefined, min: number): string | null {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min)) return null;
  return `${name} must be a whole number from ${min}, got ${value}`;
}

function rangeProblem(name: string, value: number | undefined, min: number, max: number): string | null {
  if (value === undefined || (Number.isFinite(value) && value >= min && value <= max)) return null;
  return `${name} must be a number from ${min} to ${max}, got ${value}`;
}

function stopProblem(stops: readonly string[] | undefined): string | null {
  if (stops === undefined) return null;
  const isSound = Array.isArray(stops) && stops.every((stop) => typeof stop === 'string' && stop !== '');
  if (isSound && stops.length >= 1 && stops.length <= STOP_SEQUENCES_MAX) return null;
  return `stopSequences must be 1 to ${STOP_SEQUENCES_MAX} texts that are not empty`;
}

function reasoningProblem(reasoning: ModelChoice['reasoning']): string | null {
  if (reasoning === undefined || REASONING_EFFORTS.includes(reasoning)) return null;
  return `reasoning must be one of ${REASONING_EFFORTS.join(', ')}, got ${JSON.stringify(reasoning)}`;
}

/** The release is hashed and stored as JSON, so nothing else may be in it. */
function optionsProblem(options: ModelChoice['providerOptions']): string | null {
  if (options === undefined) return null;
  const what =
    'providerOptions must be plain JSON, one object per provider, such as { openai: { serviceTier: "flex" } }';
  if (isDeeperThan(options, OPTIONS_DEPTH_MAX)) return what;
  return isPlainObject(options) && Object.values(options).every((each) => isPlainObject(each) && isJson(each))
    ? null
    : what;
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  return isPlainObject(value) && Object.values(value).every(isJson);
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
