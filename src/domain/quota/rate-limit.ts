import type { Usage } from '../model/usage.ts';

/** What a provider counts. */
export const RATE_DIMENSIONS = ['requests', 'tokens'] as const;

export type RateDimension = (typeof RATE_DIMENSIONS)[number];

/** An amount of each dimension. */
export type RateCost = { readonly [dimension in RateDimension]: number };

/** What a credential may use in any window of `windowMs`; null is no limit. */
export type RateLimit = {
  readonly windowMs: number;
  /** The provider does not count input that it reads from its cache. */
  readonly freeCacheReads?: true;
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

/** Tells whether two limits allow the same. */
export function isSameLimit(a: RateLimit, b: RateLimit): boolean {
  return (
    a.windowMs === b.windowMs &&
    a.freeCacheReads === b.freeCacheReads &&
    RATE_DIMENSIONS.every((dimension) => a[dimension] === b[dimension])
  );
}

/** Gives the tokens of a call's usage that a limit counts. */
export function countedTokens(
  { freeCacheReads }: RateLimit,
  { inputTokens, outputTokens, cacheReadTokens }: Usage,
): { readonly input: number; readonly output: number } {
  return { input: freeCacheReads === true ? inputTokens - cacheReadTokens : inputTokens, output: outputTokens };
}
