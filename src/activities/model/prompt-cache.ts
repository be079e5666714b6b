import type { LanguageModelV4CallOptions, LanguageModelV4Prompt } from '@ai-sdk/provider';
import type { ModelChoice } from '../../domain/model/model-policy.ts';
import type { ModelPrice } from '../../domain/model/price.ts';
import { mergeOptions } from './call-settings.ts';
import {
  lifetimesOf,
  type PromptCacheLifetime,
  type PromptCachePolicy,
  withHourPrice,
} from '../../domain/model/prompt-cache.ts';
import type { Usage } from '../../domain/model/usage.ts';
import { hashId } from '../../domain/sha-256.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ResolvedModel } from './invoke-model.ts';
import type { Route } from './prepare-call.ts';

/** Marks that Anthropic and Bedrock take in one request. */
const CACHE_MARKS_MAX = 4;

/** What a request tells the provider about keeping its prompt. */
export type PromptCacheRequest = {
  /** The same for all that begins with the same bytes: 22 characters, OpenAI takes 64. */
  readonly key: string;
  readonly policy?: PromptCachePolicy;
};

type Shared = {
  readonly tenant: string;
  readonly facts: Pick<RunFacts, 'agent' | 'release'>;
  readonly choice: Pick<ModelChoice, 'promptCache'>;
};

type Options = NonNullable<LanguageModelV4CallOptions['providerOptions']>;

/**
 * How a provider keeps prompts. `marks`: it keeps what it is told to. `key`: it keeps everything by itself and is told which requests
 * belong to the same machine. `none`: it does all by itself (Google, DeepSeek, Groq, xAI), or is not known to take a word about it.
 */
type CacheWay =
  | { readonly kind: 'marks'; readonly shared: Options; readonly history: Options; readonly hasHours: boolean }
  | { readonly kind: 'key'; readonly options: Options }
  | { readonly kind: 'none' };

/** Names what the calls of a run share with others: agent, release and tenant. No prompt meets a prompt of another tenant under one key. */
export function cacheRequestOf({ tenant, facts, choice }: Shared): PromptCacheRequest {
  const key = hashId('prompt-cache', tenant, facts.agent, facts.release);
  return choice.promptCache === undefined ? { key } : { key, policy: choice.promptCache };
}

/**
 * Tells the provider what of a request it should keep. The bytes of the prompt stay as they are: marks are no part of what is compared.
 *
 * @see https://docs.claude.com/en/docs/build-with-claude/prompt-caching and https://platform.openai.com/docs/guides/prompt-caching
 */
export function withPromptCache(
  options: LanguageModelV4CallOptions,
  resolved: ResolvedModel,
  request: PromptCacheRequest | undefined,
): LanguageModelV4CallOptions {
  if (request === undefined || request.policy === 'off') return options;
  const way = wayOf(resolved, request);
  switch (way.kind) {
    case 'none':
      return options;
    case 'key':
      return { ...options, providerOptions: mergeOptions(way.options, options.providerOptions) };
    case 'marks':
      return { ...options, prompt: markPrompt(options, way) };
  }
}

/** Prices a model with what its cache costs: a write for an hour is dearer than one for minutes. */
export function withCachePrice({ choice, resolved, price }: Pick<Route, 'choice' | 'resolved' | 'price'>): ModelPrice {
  const { promptCache: policy } = choice;
  const way = wayOf(resolved, policy === undefined ? { key: '' } : { key: '', policy });
  return way.kind === 'marks' && way.hasHours ? withHourPrice(price, lifetimesOf(policy)) : price;
}

/**
 * Completes what a provider says of its cache. Where something is to be kept for an hour and it does not say how much was, all that it wrote is taken to
 * be: what is charged for is never more.
 */
export function withHours(usage: Usage | null, raw: unknown, request: PromptCacheRequest | undefined): Usage | null {
  if (usage === null || usage.cacheWriteTokens === 0 || lifetimesOf(request?.policy).shared === '5m') return usage;
  const isSaid = typeof raw === 'object' && raw !== null && ('cache_creation' in raw || 'cacheDetails' in raw);
  return isSaid ? usage : { ...usage, cacheWriteHourTokens: usage.cacheWriteTokens };
}

function wayOf(
  { provider, wire, model: { modelId: model } }: ResolvedModel,
  { key, policy }: PromptCacheRequest,
): CacheWay {
  const retention = policy === undefined || policy === 'off' ? undefined : policy.retention;
  const isOpenAi = provider.startsWith('openai') || provider.startsWith('azure');
  switch (wire) {
    case 'anthropic':
      return marksOf(policy, (ttl) => ({ anthropic: { cacheControl: { type: 'ephemeral', ...ttl } } }));
    case 'bedrock':
      // Other models refuse a request with a cache point.
      if (!/(?:^|\.)(?:anthropic|amazon\.nova)[.-]/.test(model)) return { kind: 'none' };
      // Nova keeps prompts for five minutes, and refuses to be told otherwise.
      return marksOf(/(?:^|\.)anthropic[.-]/.test(model) ? policy : undefined, (ttl) => ({
        amazonBedrock: { cachePoint: { type: 'default', ...ttl } },
      }));
    case 'openai-chat':
      // This wire passes members on as they are named. What an OpenAI-compatible server makes of one that it does not know is not known.
      if (provider === 'openai') {
        const kept = retention === undefined ? {} : { prompt_cache_retention: retention };
        return { kind: 'key', options: { openai: { prompt_cache_key: key, ...kept } } };
      }
      return isOpenAi && provider !== 'openai-compatible' ? keyOption(key, retention) : { kind: 'none' };
    case 'openai-responses':
      return isOpenAi ? keyOption(key, retention) : { kind: 'none' };
    case 'mistral':
      return { kind: 'key', options: { mistral: { promptCacheKey: key } } };
    case 'google':
    case 'simulated':
      return { kind: 'none' };
  }
}

function keyOption(key: string, retention: 'in_memory' | '24h' | undefined): CacheWay {
  const kept = retention === undefined ? {} : { promptCacheRetention: retention };
  return { kind: 'key', options: { openai: { promptCacheKey: key, ...kept } } };
}

type Marks = CacheWay & { readonly kind: 'marks' };

function marksOf(policy: PromptCachePolicy | undefined, mark: (ttl: { ttl?: '1h' }) => Options): Marks {
  const { shared, history } = lifetimesOf(policy);
  const of = (lifetime: PromptCacheLifetime): Options => mark(lifetime === '1h' ? { ttl: '1h' } : {});
  return { kind: 'marks', shared: of(shared), history: of(history), hasHours: shared === '1h' };
}

/**
 * Marks the instructions, which end what all runs of a release begin with (tools stand before them), and the ends of this prompt and of the two before it. Each
 * call so reads exactly what the one before has written, however many blocks a turn has: a provider looks back over twenty blocks only. The end
 * before that one is for a call whose predecessor another model has answered. Where tools are forbidden the provider finds the instructions alone, and the call
 * is the run's last: nothing else of it is written.
 */
function markPrompt(
  { prompt, toolChoice }: Pick<LanguageModelV4CallOptions, 'prompt' | 'toolChoice'>,
  { shared, history }: Marks,
): LanguageModelV4Prompt {
  const ends = prompt.flatMap(({ role }, index) => {
    const next = prompt[index + 1]?.role;
    const isEnd = (role === 'user' || role === 'tool') && (next === undefined || next === 'assistant');
    return isEnd ? [index] : [];
  });
  const marked = new Set(toolChoice?.type === 'none' ? [] : ends.slice(1 - CACHE_MARKS_MAX));
  return prompt.map((message, index) => {
    if (index > 0 && !marked.has(index)) return message;
    return { ...message, providerOptions: { ...message.providerOptions, ...(index === 0 ? shared : history) } };
  });
}
