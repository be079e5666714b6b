import type { JsonObject } from '../json.ts';
import type { AttachmentKind } from './attachment.ts';
import type { PromptCachePolicy } from './prompt-cache.ts';

/** Strength of a model as an agent asks for it; the release says which model stands behind each. */
export type Tier = 'small' | 'standard' | 'strong';

export const TIERS: readonly Tier[] = ['small', 'standard', 'strong'];

export const REASONING_EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

/** How much a model reasons before it answers. Providers map it to what they have. */
export type ReasoningEffort = (typeof REASONING_EFFORTS)[number];

/** How a model is asked to write. What is left out is the provider's default. */
export type ModelParameters = {
  /** 0 to 2. */
  readonly temperature?: number;
  /** Share of the likeliest words that are considered, above 0 and at most 1. */
  readonly topP?: number;
  /** Number of the likeliest words that are considered. */
  readonly topK?: number;
  /** Asks for the same reply to the same prompt, where the provider can. */
  readonly seed?: number;
  /** -2 to 2. */
  readonly presencePenalty?: number;
  /** -2 to 2. */
  readonly frequencyPenalty?: number;
  /** Texts that end a reply: 1 to 16. */
  readonly stopSequences?: readonly string[];
  readonly reasoning?: ReasoningEffort;
  /** Options of single providers as their AI SDK packages name them, such as `{ openai: { serviceTier: 'flex' } }`. */
  readonly providerOptions?: { readonly [provider: string]: JsonObject };
};

/**
 * One model behind a tier. `id` is `provider:model`, for example `openai:gpt-5-mini`; the providers `rehearsal` and
 * `scripted` are Perdure's own and need no key.
 */
export type ModelChoice = ModelParameters & {
  readonly id: string;
  /** Tokens the model may write in one call. Bounds the reservation of each call. */
  readonly outputTokensMax: number;
  /** Tokens that prompt and reply may have together. */
  readonly contextTokensMax: number;
  /** Files that the model reads besides words. Default none: a run that begins with one is refused. */
  readonly reads?: readonly AttachmentKind[];
  /** How the provider keeps the beginning of prompts. Default: on, for the provider's usual time. */
  readonly promptCache?: PromptCachePolicy;
};

/** The model of a tier, and who answers in its place while it cannot, in this order. */
export type TierChoice = ModelChoice & { readonly fallbacks?: readonly ModelChoice[] };

/** The models of a release. `standard` must be there; a missing tier falls back to it. */
export type ModelPolicy = { readonly standard: TierChoice } & { readonly [tier in Tier]?: TierChoice } & {
  /** Tier that turns are answered by. Default `standard`. */
  readonly use?: Tier;
};

/** Gives the provider of a model: what stands before the colon of its id. */
export function providerOf(id: string): string {
  return id.slice(0, Math.max(0, id.indexOf(':')));
}

/** Picks the model of a tier, or the standard one where the policy names none. */
export function chooseModel(policy: ModelPolicy, tier: Tier): TierChoice {
  return policy[tier] ?? policy.standard;
}

/** Names the tier whose model answers, when one is asked for: that tier, or standard where the policy names none for it. */
export function tierOf(policy: ModelPolicy, asked: Tier | undefined): Tier {
  const tier = asked ?? policy.use ?? 'standard';
  return policy[tier] === undefined ? 'standard' : tier;
}

/** A model that may answer: the tier's own, or one of its fallbacks. */
export type Candidate = {
  readonly choice: ModelChoice;
  readonly tier: Tier;
  /** It is the model that the run should have. */
  readonly isHome: boolean;
};

/** Lists who may answer for a tier, in order. */
export function chainOf(policy: ModelPolicy, tier: Tier): readonly Candidate[] {
  const { fallbacks = [], ...own } = chooseModel(policy, tier);
  return [own, ...fallbacks].map((choice, place) => ({ choice, tier, isHome: place === 0 }));
}

/** Counts the models that one attempt may ask, at most: a chain, and near the cap that of a cheaper tier before it. */
export function modelsPerAttempt(policy: ModelPolicy): number {
  const tiers = TIERS.flatMap((tier) => policy[tier] ?? []);
  const longest = Math.max(...tiers.map(({ fallbacks = [] }) => 1 + fallbacks.length));
  return longest + (tiers.length > 1 ? 1 : 0);
}

/** Lists every choice of a policy with the place where it is written. */
export function choicesOf(policy: ModelPolicy): readonly { readonly place: string; readonly choice: ModelChoice }[] {
  return TIERS.flatMap((tier) => {
    const choice = policy[tier];
    if (choice === undefined) return [];
    const fallbacks = choice.fallbacks ?? [];
    return [
      { place: `models.${tier}`, choice },
      ...fallbacks.map((each, index) => ({ place: `models.${tier}.fallbacks[${index}]`, choice: each })),
    ];
  });
}

/** Why another model answers than the one that the run should have. A closed list: metrics and rows have it. */
export type FallbackWhy =
  | 'breaker-open'
  | 'probing'
  | 'busy'
  | 'authentication'
  | 'quota'
  | 'not-found'
  | 'rate-limited'
  | 'failed'
  | 'refused'
  | 'unavailable'
  | 'too-long'
  | 'cannot-read'
  | 'budget'
  | 'near-cap';

/** Which model was passed over, and why. */
export type Fallback = { readonly from: string; readonly why: FallbackWhy };

/** Which model answered. `passed` lists all that were passed over before it, in order, where these are several. */
export type RouteTaken = {
  readonly tier: Tier;
  readonly id: string;
  readonly fallback?: Fallback;
  readonly passed?: readonly Fallback[];
};
