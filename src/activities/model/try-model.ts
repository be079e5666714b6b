import { APICallError } from '@ai-sdk/provider';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { costOf, formatUsd, isCeiling } from '../../domain/model/price.ts';
import { addUsage, type Usage } from '../../domain/model/usage.ts';
import type { Cause } from '../../domain/run/cause.ts';
import type { ToolContract } from '../../domain/tool/contract.ts';
import { classify } from '../failures.ts';
import { invokeModel, type ModelReply, type ResolvedModel } from './invoke-model.ts';
import { ModelCallError } from './model-errors.ts';
import { isSecretSet, readSecret } from './provider-access.ts';
import { addressOf, findProvider, PROVIDER_NAMES, type ProviderRow } from './provider-table.ts';
import { createModels, type Environment, type ModelSettings } from './providers.ts';
import type { Fetch } from './wire-model.ts';

/** What one small call of a model has shown. Null is what could not be seen. */
export type Trial = {
  readonly provider: string;
  /** `provider:model`; null where nobody knows what the provider serves. */
  readonly model: string | null;
  /** The server answered, whatever it said. */
  readonly reachable: boolean | null;
  readonly authenticated: boolean | null;
  /** The reply came as a stream, as was asked. */
  readonly streamed: boolean;
  /** The model called the tool, by its own name and with its argument. */
  readonly toolCall: boolean;
  /** The model read the tool's result and answered in words. Null unless that was tried, which is a second call. */
  readonly answered: boolean | null;
  /** What the provider said that was used; null when it did not say it. */
  readonly usage: Usage | null;
  /** `none`: runs of the model are refused. `ceiling`: only the most that it can cost is known. */
  readonly price: 'known' | 'ceiling' | 'none' | null;
  readonly costUsd: string | null;
  /** Milliseconds to the end of the first reply. */
  readonly latencyMs: number | null;
  readonly error: { readonly cause: Cause; readonly message: string; readonly mend: string | null } | null;
};

export type TrialSettings = Pick<ModelSettings, 'env' | 'readFile' | 'fetch' | 'prices'> & {
  /** Makes a second call, which gives the model the tool's result: dearer, and it tries how results are paired with their calls. */
  readonly withAnswer?: boolean;
};

/** Reasoning models think before they write; a call and a sentence are far below it. */
const OUTPUT_TOKENS_MAX = 2_000;

/** Short replies take seconds. A model that a server of one's own has to load first takes longer. */
const TRIAL_MS = 120_000;

/** Most providers refuse a dot in the name of a tool, so the name has to be spelled for them and read back. */
const ECHO: ToolContract = {
  name: 'perdure.echo',
  version: '1.0.0',
  description: 'Says a word again.',
  inputSchema: {
    type: 'object',
    properties: { word: { type: 'string', description: 'The word.' } },
    required: ['word'],
    additionalProperties: false,
  },
  outputSchema: { type: 'string' },
  effect: 'read',
};

const ASKED: MessagePart = {
  kind: 'user-text',
  text: 'Call the tool with the word "pear". Then say in one short sentence what it answered.',
};

/** Names the providers that the environment has a key or an address for. */
export function configuredProviders(env: Environment): readonly string[] {
  return PROVIDER_NAMES.filter((name) => {
    const row = findProvider(name);
    if (row === null) return false;
    // The address of one's own server is that of openai-compatible, and keys of AWS are set for much else.
    const own = row.addresses.filter((address) => row.isKeyOptional === true || !address.startsWith('PERDURE_'));
    const hasKey = row.isKeyOptional !== true && isSecretSet(env, row.secrets[0] ?? '');
    const hasPair = name === 'bedrock' && ['AWS_ACCESS_KEY_ID', 'AWS_REGION'].every((each) => isSecretSet(env, each));
    return hasKey || hasPair || own.some((address) => isSecretSet(env, address));
  });
}

/** Tries the small model of a provider. A server of one's own is asked what it has. Never throws: what went wrong is in the trial. */
export async function tryProvider(settings: TrialSettings, provider: string): Promise<Trial> {
  const signal = AbortSignal.timeout(TRIAL_MS);
  const seen = nothingSeen();
  try {
    const name = await smallModelOf({ ...settings, fetch: watch(settings, seen) }, provider, signal);
    if (name !== null) return await tryModel(settings, `${provider}:${name}`, signal);
    const message = `which models ${provider} serves is not known here`;
    const mend = `Name one of them with --model ${provider}:NAME.`;
    return { ...nothing(provider, null), error: { cause: 'model-error', message, mend } };
  } catch (error) {
    return { ...nothing(provider, null), ...failed(error, seen) };
  }
}

/** Tries a model. Never throws: what went wrong is in the trial. */
export async function tryModel(
  settings: TrialSettings,
  id: string,
  signal: AbortSignal = AbortSignal.timeout(TRIAL_MS),
): Promise<Trial> {
  let trial = nothing(id.split(':')[0] ?? '', id);
  const seen = nothingSeen();
  try {
    const models = createModels({ ...settings, fetch: watch(settings, seen), rehearsals: new Map() });
    const choice = { id, outputTokensMax: OUTPUT_TOKENS_MAX, contextTokensMax: OUTPUT_TOKENS_MAX };
    const resolved = await models.resolve(choice);
    trial = { ...trial, price: priceKind(resolved) };
    const startedAt = performance.now();
    const first = await ask(resolved, [ASKED], signal);
    const latencyMs = Math.round(performance.now() - startedAt);
    const { streamed } = seen;
    const reached = { reachable: true, authenticated: true, streamed, latencyMs };
    trial = { ...trial, ...reached, toolCall: first.parts.some(isEcho), ...spent(resolved, usageOf(first)) };
    if (settings.withAnswer !== true) return trial;
    trial = { ...trial, answered: false };
    if (!trial.toolCall) return trial;
    const second = await ask(resolved, [ASKED, ...first.parts, ...resultsOf(first)], signal);
    return { ...trial, answered: hasText(second), ...spent(resolved, sumOf(usageOf(first), usageOf(second))) };
  } catch (error) {
    return { ...trial, ...failed(error, seen) };
  }
}

function isEcho(part: MessagePart): boolean {
  if (part.kind !== 'tool-call' || part.toolName !== ECHO.name) return false;
  return typeof part.input === 'object' && part.input !== null && 'word' in part.input;
}

function resultsOf({ parts }: ModelReply): readonly MessagePart[] {
  return parts.flatMap((part): readonly MessagePart[] => {
    if (part.kind !== 'tool-call') return [];
    const { toolCallId, toolName } = part;
    return [{ kind: 'tool-result', toolCallId, toolName, isError: false, output: 'pear' }];
  });
}

function priceKind({ price }: ResolvedModel): Trial['price'] {
  if (price === null) return 'none';
  return isCeiling(price) ? 'ceiling' : 'known';
}

function spent({ price }: ResolvedModel, usage: Usage | null): Pick<Trial, 'usage' | 'costUsd'> {
  return { usage, costUsd: usage === null || price === null ? null : formatUsd(costOf(price, usage)) };
}

async function ask(resolved: ResolvedModel, parts: readonly MessagePart[], signal: AbortSignal): Promise<ModelReply> {
  const request = { instructions: 'Be brief.', parts, tools: [ECHO], outputTokensMax: OUTPUT_TOKENS_MAX };
  return invokeModel(resolved, { ...request, requestId: `trial-${crypto.randomUUID()}` }, signal);
}

function nothing(provider: string, model: string | null): Trial {
  const unseen = { reachable: null, authenticated: null, answered: null, usage: null, price: null, costUsd: null };
  return { provider, model, ...unseen, streamed: false, toolCall: false, latencyMs: null, error: null };
}

/** What the servers did that were asked. */
type Seen = { asked: boolean; answered: boolean; streamed: boolean };

function nothingSeen(): Seen {
  return { asked: false, answered: false, streamed: false };
}

/** Says what is known of a server that did not do as it was asked. */
function failed(error: unknown, seen: Seen): Partial<Trial> {
  const { cause, message, mend } = classify(error);
  return {
    reachable: seen.asked ? seen.answered : null,
    authenticated: seen.answered ? cause !== 'model-authentication' : null,
    streamed: seen.streamed,
    error: { cause, message, mend: mend ?? null },
  };
}

/** Notes whether a reply is a stream: some servers answer with one body, and that is read all the same. */
function watch({ fetch = globalThis.fetch }: TrialSettings, seen: Seen): Fetch {
  return async (input, init) => {
    seen.asked = true;
    const response = await fetch(input, init);
    seen.answered = true;
    seen.streamed = /event-?stream/.test(response.headers.get('content-type') ?? '');
    return response;
  };
}

async function smallModelOf(settings: TrialSettings, provider: string, signal: AbortSignal): Promise<string | null> {
  const row = findProvider(provider);
  if (row === null || row.smallModel !== null) return row?.smallModel ?? null;
  const configured = settings.env['PERDURE_MODEL']?.trim() ?? '';
  if (provider === 'openai-compatible' && configured !== '') return configured.replace(/^openai-compatible:/, '');
  return row.isKeyOptional === true ? firstServed(settings, row, signal) : null;
}

/** Asks a server of one's own what it serves, and takes the first that is not made for something else. */
async function firstServed(settings: TrialSettings, row: ProviderRow, signal: AbortSignal): Promise<string | null> {
  const { fetch = globalThis.fetch } = settings;
  const access = { ...settings, fetch };
  const key = row.secrets.map((name) => readSecret(access, name)).find((found) => found !== null) ?? null;
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  const url = `${addressOf(row, access)}/models`;
  const provider = { id: row.account, keyName: row.secrets[0] ?? null };
  const response = await fetch(url, { signal, headers }).catch((error: unknown) => {
    throw new ModelCallError(provider, error);
  });
  const text = await response.text();
  if (!response.ok && response.status !== 404) throw new ModelCallError(provider, refusal(url, response.status, text));
  return namesIn(text).find((name) => !/embed|rerank|whisper/i.test(name)) ?? null;
}

function refusal(url: string, statusCode: number, responseBody: string): APICallError {
  return new APICallError({ message: 'refused', url, requestBodyValues: {}, statusCode, responseBody });
}

/** Reads a list of models. What is none, as a page of a proxy, names none. */
function namesIn(text: string): readonly string[] {
  try {
    const { data = [] } = JSON.parse(text) as { readonly data?: readonly { readonly id?: unknown }[] };
    return data.flatMap(({ id }) => (typeof id === 'string' ? [id] : []));
  } catch {
    return [];
  }
}

function hasText({ parts }: ModelReply): boolean {
  return parts.some((part) => part.kind === 'assistant-text' && part.text.trim() !== '');
}

function usageOf({ usage, usageEstimated }: ModelReply): Usage | null {
  return usageEstimated ? null : usage;
}

function sumOf(first: Usage | null, second: Usage | null): Usage | null {
  return first === null || second === null ? null : addUsage(first, second);
}
