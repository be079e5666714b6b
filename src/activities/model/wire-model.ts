import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModelV4 } from '@ai-sdk/provider';

/** A function with the shape of the global `fetch`. */
export type Fetch = typeof globalThis.fetch;

export type WireSettings = {
  readonly provider: 'openai' | 'compatible';
  readonly model: string;
  readonly baseUrl: string;
  /** Asked at each call; an empty string sends no key. */
  readonly readKey: () => string;
  readonly fetch: Fetch;
};

/** Makes a model that speaks the OpenAI chat-completions protocol over HTTP. It never retries. */
export function wireModel(settings: WireSettings): LanguageModelV4 {
  const { provider, model, baseUrl, readKey, fetch } = settings;
  return createOpenAICompatible({
    name: provider,
    baseURL: baseUrl,
    apiKey: readKey,
    includeUsage: true,
    fetch: async (input, init) => asEventStream(await fetch(input, init)),
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

/**
 * Some servers answer a request for a stream with one JSON body: a whole reply, or an error under status 200. It becomes a stream
 * of one event, so that there is one way to read a reply. A body that was cut is no JSON and fails there.
 */
async function asEventStream(response: Response): Promise<Response> {
  if (!response.ok || !(response.headers.get('content-type') ?? '').includes('application/json')) return response;
  const body = await response.text();
  const headers = new Headers(response.headers);
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding']) headers.delete(name);
  headers.set('content-type', 'text/event-stream');
  return new Response(`data: ${asChunk(body)}\n\n`, { status: response.status, headers });
}

/** Writes a completion as the one chunk of a stream, on one line; anything else stays what it is. */
function asChunk(body: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return body.replaceAll(/\s*[\r\n]+\s*/g, ' ');
  }
  if (!isObject(parsed) || !Array.isArray(parsed['choices'])) return JSON.stringify(parsed);
  const choices = parsed['choices'].map((choice: unknown) => {
    if (!isObject(choice) || !isObject(choice['message'])) return choice;
    const { message, ...rest } = choice;
    const calls = message['tool_calls'];
    const indexed = Array.isArray(calls)
      ? { tool_calls: calls.map((call: object, index) => ({ ...call, index })) }
      : {};
    return { ...rest, delta: { ...message, ...indexed } };
  });
  return JSON.stringify({ ...parsed, choices });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
