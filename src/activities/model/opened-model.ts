import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4GenerateResult,
  type LanguageModelV4StreamPart,
  type LanguageModelV4StreamResult,
} from '@ai-sdk/provider';
import { ModelStreamError } from './model-errors.ts';
import { errorInBody } from './provider-report.ts';
import type { Fetch } from './wire-model.ts';

export type OpenedModel = {
  readonly provider: string;
  readonly modelId: string;
  readonly fetch: Fetch;
  /** Options of every call. Those of the call itself go before them. */
  readonly options?: LanguageModelV4CallOptions['providerOptions'];
  /** Opens the model with a client. */
  readonly open: (fetch: Fetch) => Promise<LanguageModelV4>;
};

/**
 * Makes a model that is opened at each call: its package is loaded and its key is read only then. A server that answers with one JSON body
 * where a stream was asked is understood, too.
 */
export function openedModel({ provider, modelId, fetch, options: defaults, open }: OpenedModel): LanguageModelV4 {
  const withDefaults = (options: LanguageModelV4CallOptions): LanguageModelV4CallOptions =>
    defaults === undefined ? options : { ...options, providerOptions: merge(defaults, options.providerOptions) };
  return {
    specificationVersion: 'v4',
    provider,
    modelId,
    supportedUrls: {},
    doGenerate: async (options) => (await open(fetch)).doGenerate(withDefaults(options)),
    doStream: async (given) => {
      const options = withDefaults(given);
      const body: WholeBody = { response: null, isRefused: false };
      const model = await open(async (input, init) => takeWhole(body, options.prompt, () => fetch(input, init)));
      try {
        return await model.doStream(options);
      } catch (error) {
        if (body.response === null) throw body.isRefused ? error : inStream(error, options.prompt);
        return asStream(await model.doGenerate(options));
      }
    },
  };
}

type ProviderOptions = NonNullable<LanguageModelV4CallOptions['providerOptions']>;

function merge(defaults: ProviderOptions, given: ProviderOptions = {}): ProviderOptions {
  const names = new Set([...Object.keys(defaults), ...Object.keys(given)]);
  return Object.fromEntries([...names].map((name) => [name, { ...defaults[name], ...given[name] }]));
}

/** The JSON body that came where a stream was asked, and whether the server refused the call instead. */
type WholeBody = { response: (() => Response) | null; isRefused: boolean };

/** Some packages give an error at the beginning of a stream the status that it would have had. The call was taken on all the same. */
function inStream(error: unknown, asked: unknown): unknown {
  if (!APICallError.isInstance(error) || (error.statusCode ?? 0) < 400) return error;
  return new ModelStreamError(error.responseBody ?? error.data ?? { message: error.message }, asked);
}

/** Lets a stream through. A JSON body ends the call, to be read by the same model as a whole reply. */
async function takeWhole(body: WholeBody, asked: unknown, ask: () => Promise<Response>): Promise<Response> {
  if (body.response !== null) return body.response();
  const response = await ask();
  body.isRefused = !response.ok;
  const isJson = /\bapplication\/(?:\w+\+)?json\b/.test(response.headers.get('content-type') ?? '');
  if (!response.ok || !isJson) return response;
  const text = await response.text();
  const error = errorInBody(text);
  if (error !== null) throw new ModelStreamError(error, asked);
  const headers = new Headers(response.headers);
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding']) headers.delete(name);
  body.response = () => new Response(text, { status: response.status, headers });
  throw new TypeError('The server does not stream');
}

function asStream({
  content,
  finishReason,
  usage,
  request,
  response,
}: LanguageModelV4GenerateResult): LanguageModelV4StreamResult {
  const parts: LanguageModelV4StreamPart[] = [
    { type: 'stream-start', warnings: [] },
    { type: 'raw', rawValue: response?.body },
  ];
  const { id, modelId } = response ?? {};
  parts.push({
    type: 'response-metadata',
    ...(id === undefined ? {} : { id }),
    ...(modelId === undefined ? {} : { modelId }),
  });
  for (const [index, piece] of content.entries()) {
    if (piece.type === 'text' || piece.type === 'reasoning') {
      const { type, text: delta, providerMetadata } = piece;
      const block = { id: String(index), ...(providerMetadata === undefined ? {} : { providerMetadata }) };
      parts.push({ type: `${type}-start`, ...block }, { type: `${type}-delta`, id: block.id, delta });
      parts.push({ type: `${type}-end`, ...block });
    } else if (piece.type === 'tool-call') parts.push(piece);
  }
  parts.push({ type: 'finish', finishReason, usage });
  return {
    stream: ReadableStream.from(parts),
    ...(request === undefined ? {} : { request }),
    ...(response?.headers === undefined ? {} : { response: { headers: response.headers } }),
  };
}
