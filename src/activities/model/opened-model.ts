import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4GenerateResult,
  type LanguageModelV4StreamPart,
  type LanguageModelV4StreamResult,
} from '@ai-sdk/provider';
import { boundOutput, withinReserved } from './bound-output.ts';
import { fieldOf } from './error-chain.ts';
import { ModelStreamError, ModelUnavailable, RequestNotMade } from './model-errors.ts';
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
    doGenerate: async (given) => {
      const model = await open(async (input, init) => fetch(input, boundOutput(init, given.maxOutputTokens)));
      return model.doGenerate(withinReserved(withDefaults(given)));
    },
    doStream: async (given) => {
      const options = withinReserved(withDefaults(given));
      const body: WholeBody = { response: null, isSent: false, isRefused: false };
      try {
        const model = await open(async (input, init) => {
          const bounded = boundOutput(init, given.maxOutputTokens);
          return takeWhole(body, options.prompt, () => fetch(input, bounded));
        });
        return await streamOrWhole(model, options, body);
      } catch (error) {
        if (!body.isSent) throw notMade(error, provider);
        throw body.isRefused || body.response !== null ? error : inStream(error, options.prompt);
      }
    },
  };
}

async function streamOrWhole(
  model: LanguageModelV4,
  options: LanguageModelV4CallOptions,
  body: WholeBody,
): Promise<LanguageModelV4StreamResult> {
  try {
    return await model.doStream(options);
  } catch (error) {
    if (body.response === null) throw error;
    return asStream(await model.doGenerate(options));
  }
}

/** What goes wrong before anything is sent belongs to the request or to this worker: a package that is missing, options that it refuses. */
function notMade(error: unknown, provider: string): unknown {
  if (error instanceof ModelUnavailable || isStopped(error)) return error;
  if (fieldOf(error, 'code') !== 'ERR_MODULE_NOT_FOUND') return new RequestNotMade(error);
  const message = `the package of ${provider} is not installed`;
  return new ModelUnavailable('model-error', message, 'Install the packages of this worker anew: npm ci.');
}

function isStopped(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

type ProviderOptions = NonNullable<LanguageModelV4CallOptions['providerOptions']>;

function merge(defaults: ProviderOptions, given: ProviderOptions = {}): ProviderOptions {
  const names = new Set([...Object.keys(defaults), ...Object.keys(given)]);
  return Object.fromEntries([...names].map((name) => [name, { ...defaults[name], ...given[name] }]));
}

/** The JSON body that came where a stream was asked, whether anything was sent, and whether the server refused the call instead. */
type WholeBody = { response: (() => Response) | null; isSent: boolean; isRefused: boolean };

/** Some packages give an error at the beginning of a stream the status that it would have had. The call was taken on all the same. */
function inStream(error: unknown, asked: unknown): unknown {
  if (!APICallError.isInstance(error) || (error.statusCode ?? 0) < 400) return error;
  return new ModelStreamError(error.responseBody ?? error.data ?? { message: error.message }, asked);
}

/** Lets a stream through. A JSON body ends the call, to be read by the same model as a whole reply. */
async function takeWhole(body: WholeBody, asked: unknown, ask: () => Promise<Response>): Promise<Response> {
  if (body.response !== null) return body.response();
  body.isSent = true;
  const response = await ask();
  body.isRefused = !response.ok;
  if (!response.ok || /event-?stream/.test(response.headers.get('content-type') ?? '')) return response;
  const text = await response.text();
  const headers = new Headers(response.headers);
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding']) headers.delete(name);
  const again = () => new Response(text, { status: response.status, headers });
  // Proxies write any type over a stream, and over an error.
  if (!isJson(text)) return again();
  const error = errorInBody(text);
  if (error !== null) throw new ModelStreamError(error, asked);
  body.response = again;
  throw new TypeError('The server does not stream');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
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
