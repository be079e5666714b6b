import type { MessagePart } from '../../domain/model/message-part.ts';
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

/** What came out of trying a model with one tool: a call of it, and an answer in words to its result. */
export type Trial = {
  readonly provider: string;
  /** `provider:model`; null where nobody knows what the provider serves. */
  readonly model: string | null;
  readonly text: boolean;
  readonly toolCall: boolean;
  /** The reply came as a stream, as was asked. */
  readonly streamed: boolean;
  /** What the provider said that both calls used; null when it did not say it. */
  readonly usage: Usage | null;
  /** Milliseconds to the end of the first reply. */
  readonly latencyMs: number | null;
  readonly error: { readonly cause: Cause; readonly message: string; readonly mend: string | null } | null;
};

export type TrialSettings = Pick<ModelSettings, 'env' | 'readFile' | 'fetch'>;

/** Reasoning models think before they write; a call and a sentence are far below it. */
const OUTPUT_TOKENS_MAX = 2_000;

/** Two short replies take seconds. A model that a server of one's own has to load first takes longer. */
const TRIAL_MS = 120_000;

const ECHO: ToolContract = {
  name: 'echo',
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
  text: 'Call the tool echo with the word "pear". Then say in one short sentence what it answered.',
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
  try {
    const name = await smallModelOf(settings, provider, signal);
    if (name !== null) return await tryModel(settings, `${provider}:${name}`, signal);
    const message = `which models ${provider} serves is not known here`;
    const mend = `Name one of them with --model ${provider}:NAME.`;
    return { ...nothing(provider, null), error: { cause: 'model-error', message, mend } };
  } catch (error) {
    return { ...nothing(provider, null), error: errorOf(error) };
  }
}

/** Tries a model. Never throws: what went wrong is in the trial. */
export async function tryModel(
  settings: TrialSettings,
  id: string,
  signal: AbortSignal = AbortSignal.timeout(TRIAL_MS),
): Promise<Trial> {
  const trial = nothing(id.split(':')[0] ?? '', id);
  const seen = { streamed: false };
  try {
    const models = createModels({ ...settings, fetch: watch(settings, seen), rehearsals: new Map() });
    const choice = { id, outputTokensMax: OUTPUT_TOKENS_MAX, contextTokensMax: OUTPUT_TOKENS_MAX };
    const resolved = await models.resolve(choice);
    const startedAt = performance.now();
    const first = await ask(resolved, [ASKED], signal);
    const latencyMs = Math.round(performance.now() - startedAt);
    const calls = first.parts.filter((part) => part.kind === 'tool-call');
    const isCalled = calls.some(({ toolName }) => toolName === ECHO.name);
    const known = { ...trial, latencyMs, streamed: seen.streamed, toolCall: isCalled };
    if (calls.length === 0) return { ...known, text: hasText(first), usage: usageOf(first) };
    const results = calls.map(({ toolCallId, toolName }): MessagePart => ({
      kind: 'tool-result',
      toolCallId,
      toolName,
      isError: false,
      output: 'pear',
    }));
    try {
      const second = await ask(resolved, [ASKED, ...first.parts, ...results], signal);
      return { ...known, text: hasText(second), usage: sumOf(usageOf(first), usageOf(second)) };
    } catch (error) {
      return { ...known, usage: usageOf(first), error: errorOf(error) };
    }
  } catch (error) {
    return { ...trial, streamed: seen.streamed, error: errorOf(error) };
  }
}

async function ask(resolved: ResolvedModel, parts: readonly MessagePart[], signal: AbortSignal): Promise<ModelReply> {
  const request = { instructions: 'Be brief.', parts, tools: [ECHO], outputTokensMax: OUTPUT_TOKENS_MAX };
  return invokeModel(resolved, { ...request, requestId: `trial-${crypto.randomUUID()}` }, signal);
}

function nothing(provider: string, model: string | null): Trial {
  const none = { text: false, toolCall: false, streamed: false, usage: null, latencyMs: null, error: null };
  return { provider, model, ...none };
}

function errorOf(error: unknown): Trial['error'] {
  const { cause, message, mend } = classify(error);
  return { cause, message, mend: mend ?? null };
}

/** Notes whether a reply is a stream: some servers answer with one body, and that is read all the same. */
function watch({ fetch = globalThis.fetch }: TrialSettings, seen: { streamed: boolean }): Fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
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
  const address = `${addressOf(row, access)}/models`;
  const response = await fetch(address, { signal, headers }).catch((error: unknown) => {
    throw new ModelCallError({ id: row.account, keyName: row.secrets[0] ?? null }, error);
  });
  const body: unknown = response.ok ? await response.json() : null;
  const data = (body as { readonly data?: readonly { readonly id?: unknown }[] } | null)?.data ?? [];
  const names = data.flatMap(({ id }) => (typeof id === 'string' ? [id] : []));
  return names.find((name) => !/embed|rerank|whisper/i.test(name)) ?? null;
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
