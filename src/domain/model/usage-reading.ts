import { type MatchRule, matches } from './match-rule.ts';
import extractors from './usage-extractors.generated.json' with { type: 'json' };
import { detailsOf, isPossible, type Usage, type UsageDetail } from './usage.ts';

/** Tokens by the words of the table of prices: `input_tokens`, `cache_read_tokens`, `output_audio_tokens`. */
export type TokenCounts = { readonly [kind: string]: number };

/** A member of an object, or the first entry of a list whose field fits. */
type Step = string | { readonly field: string; readonly match: MatchRule };

/** How a provider says its usage in one of its interfaces. Several counts that go to one kind are added up. */
export type UsageExtractor = {
  /** As the table of prices names it. */
  readonly provider: string;
  /** Interface of the provider: `chat`, `responses`, `default`. */
  readonly api: string;
  /** Where the usage is in a reply. */
  readonly root: readonly string[];
  readonly reads: readonly { readonly path: readonly Step[]; readonly to: string; readonly required?: boolean }[];
};

const EXTRACTORS = extractors as readonly UsageExtractor[];

/** Finds how a provider says its usage; null when nobody knows. */
export function usageExtractor(provider: string, api: string): UsageExtractor | null {
  return EXTRACTORS.find((each) => each.provider === provider && each.api === api) ?? null;
}

/**
 * Reads what a provider's reply says of tokens, whether or not it can be. Null when what must be there is not, and when there is no usage.
 *
 * @param body The reply as the provider wrote it, parsed.
 */
export function readTokenCounts({ root, reads }: UsageExtractor, body: unknown): TokenCounts | null {
  return countIn(reads, root.reduce(memberOf, body));
}

/** Reads the object that holds the usage itself, as the provider wrote it. */
export function countIn(reads: UsageExtractor['reads'], usage: unknown): TokenCounts | null {
  if (!isObject(usage)) return null;
  const counts: Record<string, number> = {};
  for (const { path, to, required = false } of reads) {
    const value = path.reduce(follow, usage);
    if (typeof value === 'number') {
      counts[to] = (counts[to] ?? 0) + value;
    } else if (required) return null;
  }
  return Object.keys(counts).length === 0 ? null : counts;
}

/** Where the counts go that have a price of their own. */
const DETAILS: Readonly<Record<UsageDetail, string>> = {
  cacheWriteHourTokens: 'cache_write_1h_tokens',
  audioInputTokens: 'input_audio_tokens',
  audioCacheReadTokens: 'cache_audio_read_tokens',
  audioOutputTokens: 'output_audio_tokens',
  imageInputTokens: 'input_image_tokens',
  imageCacheReadTokens: 'cache_image_read_tokens',
  imageOutputTokens: 'output_image_tokens',
  videoInputTokens: 'input_video_tokens',
  videoCacheReadTokens: 'cache_video_read_tokens',
  videoOutputTokens: 'output_video_tokens',
  citationTokens: 'output_citation_tokens',
  webSearches: 'web_searches',
};

/** Puts counts into the shape that costs are computed from, with nothing said about whether they can be. */
export function usageOf(counts: TokenCounts): Usage {
  const count = (kind: string): number => counts[kind] ?? 0;
  return {
    inputTokens: count('input_tokens'),
    outputTokens: count('output_tokens'),
    cacheReadTokens: count('cache_read_tokens'),
    // Some say the lifetimes and no sum.
    cacheWriteTokens: counts['cache_write_tokens'] ?? count('cache_write_5m_tokens') + count('cache_write_1h_tokens'),
    reasoningTokens: count('output_reasoning_tokens'),
    ...detailsOf((kind) => count(DETAILS[kind])),
  };
}

/** Reads the usage of a whole reply. Null where it is not said, or cannot be. */
export function readUsage(provider: string, api: string, body: unknown): Usage | null {
  const extractor = usageExtractor(provider, api);
  const counts = extractor === null ? null : readTokenCounts(extractor, body);
  if (counts === null) return null;
  const usage = usageOf(counts);
  return isPossible(usage) ? usage : null;
}

function follow(value: unknown, step: Step): unknown {
  if (typeof step === 'string') return memberOf(value, step);
  if (!Array.isArray(value)) return undefined;
  return value.find((entry: unknown) => {
    const name = memberOf(entry, step.field);
    return typeof name === 'string' && matches(step.match, name.toLowerCase());
  });
}

function memberOf(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
