import type { AttachmentKind } from './attachment.ts';
import type { PromptCachePolicy } from './prompt-cache.ts';

/** Strength of a model as an agent asks for it; the release says which model stands behind each. */
export type Tier = 'small' | 'standard' | 'strong';

/**
 * One model behind a tier. `id` is `provider:model`, for example `openai:gpt-5-mini`; the providers `rehearsal` and
 * `scripted` are Perdure's own and need no key.
 */
export type ModelChoice = {
  readonly id: string;
  /** Tokens the model may write in one call. Bounds the reservation of each call. */
  readonly outputTokensMax: number;
  /** Tokens that prompt and reply may have together. */
  readonly contextTokensMax: number;
  readonly temperature?: number;
  /** Files that the model reads besides words. Default none: a run that begins with one is refused. */
  readonly reads?: readonly AttachmentKind[];
  /** How the provider keeps the beginning of prompts. Default: on, for the provider's usual time. */
  readonly promptCache?: PromptCachePolicy;
};

/** The models of a release. `standard` must be there; a missing tier falls back to it. */
export type ModelPolicy = { readonly standard: ModelChoice } & { readonly [tier in Tier]?: ModelChoice };

/** Picks the model of a tier, or the standard one where the policy names none. */
export function chooseModel(policy: ModelPolicy, tier: Tier): ModelChoice {
  return policy[tier] ?? policy.standard;
}
