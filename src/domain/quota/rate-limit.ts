/** What a provider counts. */
export const RATE_DIMENSIONS = ['requests', 'tokens'] as const;

export type RateDimension = (typeof RATE_DIMENSIONS)[number];

/** An amount of each dimension. */
export type RateCost = { readonly [dimension in RateDimension]: number };

/** What a credential may use in any window of `windowMs`; null is no limit. */
export type RateLimit = {
  readonly windowMs: number;
} & { readonly [dimension in RateDimension]: number | null };

/** A limit that an operator has set for the models of a provider, or for one model. */
export type RateLimitRule = {
  /** `openai`, or `openai:gpt-5`. */
  readonly subject: string;
  readonly limit: RateLimit;
};

/** Finds the rule of a model: its own, else its provider's; null where there is none. */
export function findRule(rules: readonly RateLimitRule[], modelId: string): RateLimitRule | null {
  const provider = modelId.slice(0, Math.max(0, modelId.indexOf(':')));
  return rules.find(({ subject }) => subject === modelId) ?? rules.find(({ subject }) => subject === provider) ?? null;
}

/** Describes a limit in words: `tokens per minute of openai`. */
export function describeLimit(dimension: RateDimension, subject: string): string {
  return `${dimension} per minute of ${subject}`;
}
