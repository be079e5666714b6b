import type { LanguageModelV4Usage } from '@ai-sdk/provider';
import { countIn, type TokenCounts, usageExtractor, usageOf } from '../../domain/model/usage-reading.ts';
import { withTotal } from '../../domain/model/usage-total.ts';
import { isPossible, type Usage } from '../../domain/model/usage.ts';
import type { Wire } from '../../domain/model/wire.ts';

/** Whose way to say usage a wire is, where its provider has none of its own. */
const WIRES: Readonly<Record<Exclude<Wire, 'simulated'>, readonly [provider: string, api: string]>> = {
  'openai-chat': ['openai', 'chat'],
  'openai-responses': ['openai', 'responses'],
  anthropic: ['anthropic', 'default'],
  google: ['google', 'default'],
  mistral: ['mistral', 'default'],
  bedrock: ['aws', 'default'],
};

/** Providers that say it in a way of their own, by our names. */
const OWN_WAYS: Readonly<Record<string, readonly [provider: string, api: string]>> = {
  'openai-chat groq': ['groq', 'default'],
  'openai-chat deepseek': ['deepseek', 'chat'],
};

/**
 * Reads what a provider charged, once and in one shape: cached input inside the input, reasoning inside the output. What the provider itself
 * wrote goes before what its package made of it: the package drops what has a price of its own, as an hour in the cache or sound.
 *
 * @param provider The part of the model's id before the colon, for providers that share a wire and say it otherwise.
 * @returns null when the provider did not say it, or said what cannot be: no call has an empty prompt.
 */
export function normaliseUsage(wire: Wire, usage: LanguageModelV4Usage, provider = ''): Usage | null {
  const told = fromPackage(usage);
  const counts = wire === 'simulated' ? null : rawCounts(wire, provider, usage.raw);
  if (counts === null) return possible(told);
  if (!Object.values(counts).every(isCount)) return null;
  const read = usageOf(counts);
  // Its package knows what else a provider calls cached input.
  const cacheReadTokens = Math.max(read.cacheReadTokens, countOr0(usage.inputTokens.cacheRead));
  return possible(reconcile(wire, { ...read, cacheReadTokens }, told, usage.raw));
}

function possible(usage: Usage | null): Usage | null {
  return usage !== null && usage.inputTokens > 0 && isPossible(usage) ? usage : null;
}

function rawCounts(wire: Exclude<Wire, 'simulated'>, provider: string, raw: unknown): TokenCounts | null {
  const [name, api] = OWN_WAYS[`${wire} ${provider}`] ?? WIRES[wire];
  const counts = countIn(usageExtractor(name, api)?.reads ?? [], raw);
  const hour = hourOfBedrock(raw);
  return counts === null || hour === 0 ? counts : { ...counts, cache_write_1h_tokens: hour };
}

/** Adds what only the package knows: rounds of a call that are beside the totals. */
function reconcile(wire: Wire, read: Usage, told: Usage | null, raw: LanguageModelV4Usage['raw']): Usage {
  const inputTokens = Math.max(read.inputTokens, told?.inputTokens ?? 0);
  const total = raw?.['total_tokens'] ?? raw?.['totalTokenCount'];
  // What the package says of this wire's output is what the server says, with reasoning inside or beside.
  if (wire === 'openai-chat') return withTotal({ ...read, inputTokens }, total);
  return withTotal({ ...read, inputTokens, outputTokens: Math.max(read.outputTokens, told?.outputTokens ?? 0) }, total);
}

/** Bedrock lists what it wrote to the cache by lifetime. */
function hourOfBedrock(raw: unknown): number {
  if (typeof raw !== 'object' || raw === null || !('cacheDetails' in raw) || !Array.isArray(raw.cacheDetails)) return 0;
  return (raw.cacheDetails as readonly { readonly ttl?: unknown; readonly inputTokens?: unknown }[])
    .filter(({ ttl }) => ttl === '1h')
    .reduce((sum, { inputTokens }) => sum + countOr0(inputTokens), 0);
}

/** Reads what the package made of it. */
function fromPackage(usage: LanguageModelV4Usage): Usage | null {
  const input = usage.inputTokens.total;
  const written = usage.outputTokens.total;
  if (!isCount(input) || !isCount(written)) return null;
  const reasoning = countOr0(usage.outputTokens.reasoning);
  const output = reasoning > written ? written + reasoning : written;
  return {
    inputTokens: input,
    outputTokens: output,
    cacheReadTokens: countOr0(usage.inputTokens.cacheRead),
    cacheWriteTokens: countOr0(usage.inputTokens.cacheWrite),
    reasoningTokens: reasoning,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function countOr0(value: unknown): number {
  return isCount(value) ? value : 0;
}
