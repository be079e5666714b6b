/** Input of a run's model calls, and what of it the providers' caches gave and took. */
export type CacheShare = {
  readonly inputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  /** Read from a cache, in thousandths of the input. */
  readonly readPerMille: number;
};

type Counted = { readonly [Kind in 'inputTokens' | 'cacheReadTokens' | 'cacheWriteTokens']: number | null };

/** Adds up what attempts say of their input; those that say nothing count for nothing. */
export function cacheShareOf(attempts: readonly Counted[]): CacheShare {
  const sum = (kind: keyof Counted): number => attempts.reduce((all, attempt) => all + (attempt[kind] ?? 0), 0);
  const [inputTokens, cacheReadTokens] = [sum('inputTokens'), sum('cacheReadTokens')];
  const readPerMille = inputTokens === 0 ? 0 : Math.floor((cacheReadTokens * 1000) / inputTokens);
  return { inputTokens, cacheReadTokens, cacheWriteTokens: sum('cacheWriteTokens'), readPerMille };
}
