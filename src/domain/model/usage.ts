/**
 * Tokens of one model call. `inputTokens` counts all input, `outputTokens` all output; every other kind is a part of one of them. Kinds that few
 * models have are left out where there are none.
 */
export type Usage = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  /** Written to the cache, for whatever time. */
  readonly cacheWriteTokens: number;
  readonly reasoningTokens: number;
} & UsageDetails;

/** Kinds of tokens that some models price otherwise. */
export type UsageDetails = { readonly [kind in UsageDetail]?: number };

/**
 * - `cacheWriteHourTokens`: the part of `cacheWriteTokens` that the cache keeps for an hour and not for minutes;
 * - `…InputTokens`: the part of the input that is sound, image or video; `…CacheReadTokens`: the part of that which was cached;
 * - `…OutputTokens`: the part of the output that is;
 * - `citationTokens`: the part of the output that cites;
 * - `webSearches`: searches that the provider made by itself. They are counted, and no tokens.
 */
export const USAGE_DETAILS = [
  'cacheWriteHourTokens',
  'audioInputTokens',
  'audioCacheReadTokens',
  'audioOutputTokens',
  'imageInputTokens',
  'imageCacheReadTokens',
  'imageOutputTokens',
  'videoInputTokens',
  'videoCacheReadTokens',
  'videoOutputTokens',
  'citationTokens',
  'webSearches',
] as const;

export type UsageDetail = (typeof USAGE_DETAILS)[number];

export const NO_USAGE: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
};

/** Adds two usages, kind by kind. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
    reasoningTokens: a.reasoningTokens + b.reasoningTokens,
    ...detailsOf((kind) => (a[kind] ?? 0) + (b[kind] ?? 0)),
  };
}

/** Makes the details of a usage: those that there are any of. */
export function detailsOf(count: (kind: UsageDetail) => number): UsageDetails {
  return Object.fromEntries(
    USAGE_DETAILS.flatMap((kind) => {
      const number = count(kind);
      return number === 0 ? [] : [[kind, number]];
    }),
  );
}

/** Takes the details out of a usage; null when there are none. */
export function usageDetails(usage: Usage): UsageDetails | null {
  const details = detailsOf((kind) => usage[kind] ?? 0);
  return Object.keys(details).length === 0 ? null : details;
}

/** Counts what a token limit counts: all input and all output. */
export function totalTokens(usage: Usage): number {
  return usage.inputTokens + usage.outputTokens;
}

/** Tells whether a usage can be: parts are not larger than what they are a part of, and nothing is below 0 or half a token. */
export function isPossible(usage: Usage): boolean {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens } = usage;
  const counts = [inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens];
  const details = USAGE_DETAILS.map((kind) => usage[kind] ?? 0);
  if (![...counts, ...details].every((count) => Number.isSafeInteger(count) && count >= 0)) return false;
  const sum = (...kinds: readonly UsageDetail[]): number => kinds.reduce((all, kind) => all + (usage[kind] ?? 0), 0);
  return (
    cacheReadTokens + cacheWriteTokens <= inputTokens &&
    reasoningTokens <= outputTokens &&
    sum('cacheWriteHourTokens') <= cacheWriteTokens &&
    sum('audioInputTokens', 'imageInputTokens', 'videoInputTokens') <= inputTokens &&
    sum('audioCacheReadTokens', 'imageCacheReadTokens', 'videoCacheReadTokens') <= cacheReadTokens &&
    sum('audioOutputTokens', 'imageOutputTokens', 'videoOutputTokens', 'citationTokens') <= outputTokens
  );
}
