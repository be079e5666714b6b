import { type MatchRule, matches } from './match-rule.ts';
import extractors from './usage-extractors.generated.json' with { type: 'json' };
import { detailsOf, type Usage, type UsageDetail } from './usage.ts';

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
 * Finds how a reply says its usage: in the way of the interface that is named, else in the way that reads the most of what is there. Who has no
 * way of its own speaks as OpenAI does. Null when nothing can be read.
 */
export function findExtractor(provider: string, api: string | undefined, body: unknown): UsageExtractor | null {
  const named = usageExtractor(provider, api?.toLowerCase() ?? '');
  if (named !== null) return named;
  for (const speaker of [provider, 'openai']) {
    const ranked = EXTRACTORS.filter((each) => each.provider === speaker && readTokenCounts(each, body) !== null)
      .map((extractor) => ({ extractor, found: foundIn(extractor, body) }))
      .toSorted((a, b) => b.found - a.found);
    if (ranked[0] !== undefined) return ranked[0].extractor;
  }
  return null;
}

/** Counts the places where a reply has what an interface says. */
function foundIn({ root, reads }: UsageExtractor, body: unknown): number {
  const usage = root.reduce(memberOf, body);
  const places = new Map(reads.map(({ path }) => [JSON.stringify(path), path]));
  return [...places.values()].filter((path) => typeof path.reduce(follow, usage) === 'number').length;
}

/**
 * Reads what a provider's reply says of tokens, whether or not it can be. Null when what must be there is not, and when there is no usage.
 *
 * @param body The reply as the provider wrote it, parsed.
 */
export function readTokenCounts({ root, reads }: UsageExtractor, body: unknown): TokenCounts | null {
  return countIn(reads, root.reduce(memberOf, body));
}

/** Reads the object that holds the usage itself, as the provider wrote it. A count that is there and is no number is NaN: it cannot be believed, and is not 0. */
export function countIn(reads: UsageExtractor['reads'], usage: unknown): TokenCounts | null {
  if (!isObject(usage)) return null;
  const counts: Record<string, number> = {};
  for (const { path, to, required = false } of reads) {
    const value = path.reduce(follow, usage);
    if (value !== undefined && value !== null) {
      counts[to] = (counts[to] ?? 0) + (typeof value === 'number' ? value : Number.NaN);
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

/** Reads what a reply calls the total of its tokens; undefined where it says none. */
export function readTotal({ root }: UsageExtractor, body: unknown): unknown {
  const usage = root.reduce(memberOf, body);
  return memberOf(usage, 'total_tokens') ?? memberOf(usage, 'totalTokenCount');
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
