import type { LanguageModelV4 } from '@ai-sdk/provider';
import { withoutEmptyErrors } from './empty-errors.ts';

/** A function with the shape of the global `fetch`. */
export type Fetch = typeof globalThis.fetch;

export type WireSettings = {
  readonly provider: 'openai' | 'compatible';
  readonly model: string;
  readonly baseUrl: string;
  /** An empty string sends no key. */
  readonly apiKey: string;
  readonly fetch: Fetch;
};

/** Makes a model that speaks the OpenAI chat-completions protocol over HTTP. It never retries. Its package is loaded here. */
export async function wireModel(settings: WireSettings): Promise<LanguageModelV4> {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
  const { provider, model, baseUrl, apiKey, fetch } = settings;
  return createOpenAICompatible({
    name: provider,
    baseURL: baseUrl,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: provider === 'openai',
    fetch: async (input, init) => withoutEmptyErrors(await fetch(input, init)),
    transformRequestBody: (body) => adaptBody(settings, body),
  }).languageModel(model);
}

/** OpenAI's reasoning models refuse `max_tokens` and a temperature, wherever they are served; other servers know only `max_tokens`. */
function adaptBody({ provider, model }: WireSettings, body: Record<string, unknown>): Record<string, unknown> {
  const isReasoningModel = /^(?:openai\/)?(?:o\d|gpt-5)/.test(model) && !model.includes('chat');
  const { max_tokens: outputTokensMax, temperature, ...rest } = body;
  const limit = provider === 'openai' || isReasoningModel ? 'max_completion_tokens' : 'max_tokens';
  return { ...rest, [limit]: outputTokensMax, ...(isReasoningModel ? {} : { temperature }) };
}
