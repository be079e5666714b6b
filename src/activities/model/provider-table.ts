import type { LanguageModelV4, LanguageModelV4CallOptions } from '@ai-sdk/provider';
import type { Wire } from '../../domain/model/wire.ts';
import { ModelUnavailable } from './model-errors.ts';
import { needSecret, type ProviderAccess, readAddress, readSecret } from './provider-access.ts';
import { wireModel } from './wire-model.ts';

/** A model that a call is about to be made of. */
export type Opening = ProviderAccess & {
  /** `provider:model`. */
  readonly id: string;
  /** What is after the colon. */
  readonly name: string;
  readonly baseUrl: string;
};

/** What Perdure knows of a provider. */
export type ProviderRow = {
  readonly wire: Wire;
  /** Providers with the same account draw on the same key. */
  readonly account: string;
  /** Variables of the secrets, the most usual first. Each has a `_FILE` variant. */
  readonly secrets: readonly string[];
  /** A server of one's own may need no key. */
  readonly isKeyOptional?: true;
  /** Variables of the address, the first that is set counts. */
  readonly addresses: readonly string[];
  /** Follows an address that is only a host: makers of these write theirs without a path, and their own clients add it. */
  readonly path?: string;
  /** Finds the address where none is set. */
  readonly defaultAddress: (access: ProviderAccess) => string;
  /** Small and cheap: for trying whether the provider works. Null where only its owner knows what it serves. */
  readonly smallModel: string | null;
  /** Options of every call, by the SDK's name of the provider. */
  readonly options?: LanguageModelV4CallOptions['providerOptions'];
  /**
   * Opens a model. Its package is loaded here, when it is used.
   *
   * @throws ModelUnavailable when a key is missing.
   */
  readonly open: (opening: Opening) => Promise<LanguageModelV4>;
};

/**
 * Replies are not kept at the provider: a run may be taken up again long after it forgot them, and erased before. Reasoning then
 * travels in the transcript, encrypted.
 */
const NOT_STORED = { store: false };

/** The providers by the word before the colon. Every setting is passed on, so that no package looks into the environment itself. */
const PROVIDERS: Readonly<Record<string, ProviderRow>> = {
  openai: {
    ...keyed('openai', 'openai-chat', 'OPENAI_API_KEY', 'https://api.openai.com/v1'),
    addresses: ['OPENAI_BASE_URL', 'PERDURE_MODEL_BASE_URL'],
    smallModel: 'gpt-5-nano',
    open: async (opening) =>
      wireModel({
        provider: 'openai',
        model: opening.name,
        baseUrl: opening.baseUrl,
        apiKey: needSecret(opening, opening.id, 'OPENAI_API_KEY'),
        fetch: opening.fetch,
      }),
  },
  'openai-responses': {
    ...keyed('openai', 'openai-responses', 'OPENAI_API_KEY', 'https://api.openai.com/v1'),
    addresses: ['OPENAI_BASE_URL', 'PERDURE_MODEL_BASE_URL'],
    smallModel: 'gpt-5-nano',
    options: { openai: NOT_STORED },
    open: async (opening) => {
      const { createOpenAI } = await import('@ai-sdk/openai');
      return createOpenAI(settingsOf(opening, 'OPENAI_API_KEY')).responses(opening.name);
    },
  },
  anthropic: {
    ...keyed('anthropic', 'anthropic', 'ANTHROPIC_API_KEY', 'https://api.anthropic.com/v1'),
    addresses: ['ANTHROPIC_BASE_URL'],
    path: '/v1',
    smallModel: 'claude-haiku-4-5',
    // The provider then checks arguments before it sends them; otherwise what is no JSON comes as it was written.
    options: { anthropic: { toolStreaming: false } },
    open: async (opening) => {
      const { createAnthropic } = await import('@ai-sdk/anthropic');
      return createAnthropic(settingsOf(opening, 'ANTHROPIC_API_KEY')).languageModel(opening.name);
    },
  },
  google: {
    ...keyed('google', 'google', 'GOOGLE_GENERATIVE_AI_API_KEY', 'https://generativelanguage.googleapis.com/v1beta'),
    addresses: ['GOOGLE_BASE_URL'],
    path: '/v1beta',
    smallModel: 'gemini-2.5-flash-lite',
    open: async (opening) => {
      const { createGoogleGenerativeAI } = await import('@ai-sdk/google');
      return createGoogleGenerativeAI(settingsOf(opening, 'GOOGLE_GENERATIVE_AI_API_KEY')).languageModel(opening.name);
    },
  },
  mistral: {
    ...keyed('mistral', 'mistral', 'MISTRAL_API_KEY', 'https://api.mistral.ai/v1'),
    addresses: ['MISTRAL_BASE_URL'],
    path: '/v1',
    smallModel: 'mistral-small-latest',
    open: async (opening) => {
      const { createMistral } = await import('@ai-sdk/mistral');
      return createMistral(settingsOf(opening, 'MISTRAL_API_KEY')).languageModel(opening.name);
    },
  },
  groq: {
    ...keyed('groq', 'openai-chat', 'GROQ_API_KEY', 'https://api.groq.com/openai/v1'),
    addresses: ['GROQ_BASE_URL'],
    path: '/openai/v1',
    smallModel: 'openai/gpt-oss-20b',
    open: async (opening) => {
      const { createGroq } = await import('@ai-sdk/groq');
      return createGroq(settingsOf(opening, 'GROQ_API_KEY')).languageModel(opening.name);
    },
  },
  deepseek: {
    ...keyed('deepseek', 'openai-chat', 'DEEPSEEK_API_KEY', 'https://api.deepseek.com'),
    addresses: ['DEEPSEEK_BASE_URL'],
    smallModel: 'deepseek-chat',
    open: async (opening) => {
      const { createDeepSeek } = await import('@ai-sdk/deepseek');
      return createDeepSeek(settingsOf(opening, 'DEEPSEEK_API_KEY')).languageModel(opening.name);
    },
  },
  xai: {
    // Its package speaks xAI's own form of the responses protocol.
    ...keyed('xai', 'openai-responses', 'XAI_API_KEY', 'https://api.x.ai/v1'),
    addresses: ['XAI_BASE_URL'],
    path: '/v1',
    smallModel: 'grok-4-fast-non-reasoning',
    options: { xai: NOT_STORED },
    open: async (opening) => {
      const { createXai } = await import('@ai-sdk/xai');
      return createXai(settingsOf(opening, 'XAI_API_KEY')).responses(opening.name);
    },
  },
  azure: {
    ...keyed('azure', 'openai-chat', 'AZURE_API_KEY', ''),
    addresses: ['AZURE_BASE_URL'],
    defaultAddress: ({ env }) => {
      const resource = env['AZURE_RESOURCE_NAME']?.trim() ?? '';
      if (/^[A-Za-z0-9-]+$/.test(resource)) return `https://${resource}.openai.azure.com/openai`;
      const mend = 'Set AZURE_RESOURCE_NAME to the name of the resource, or AZURE_BASE_URL to its address.';
      throw new ModelUnavailable('model-error', 'AZURE_RESOURCE_NAME does not name a resource', mend);
    },
    open: async (opening) => {
      const { createAzure } = await import('@ai-sdk/azure');
      return createAzure(settingsOf(opening, 'AZURE_API_KEY')).chat(opening.name);
    },
  },
  bedrock: {
    wire: 'bedrock',
    account: 'bedrock',
    secrets: ['AWS_BEARER_TOKEN_BEDROCK', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'],
    addresses: ['BEDROCK_BASE_URL'],
    defaultAddress: ({ env }) => `https://bedrock-runtime.${regionOf(env)}.${awsDomain(regionOf(env))}`,
    smallModel: 'us.amazon.nova-micro-v1:0',
    open: openBedrock,
  },
  ollama: local('ollama', 'OLLAMA_API_KEY', 'OLLAMA_BASE_URL', 'http://localhost:11434/v1'),
  vllm: local('vllm', 'VLLM_API_KEY', 'VLLM_BASE_URL', 'http://localhost:8000/v1'),
  lmstudio: local('lmstudio', 'LMSTUDIO_API_KEY', 'LMSTUDIO_BASE_URL', 'http://localhost:1234/v1'),
  'openai-compatible': {
    // The key of OpenAI counts only where the server has none of its own.
    ...local('openai-compatible', 'PERDURE_MODEL_API_KEY', 'PERDURE_MODEL_BASE_URL', ''),
    secrets: ['PERDURE_MODEL_API_KEY', 'OPENAI_API_KEY'],
    defaultAddress: () => {
      const mend = 'Set PERDURE_MODEL_BASE_URL to the address of the server, for example http://localhost:11434/v1.';
      throw new ModelUnavailable('model-error', 'PERDURE_MODEL_BASE_URL is not set', mend);
    },
  },
};

/** Names every provider that an id can begin with. */
export const PROVIDER_NAMES: readonly string[] = Object.keys(PROVIDERS);

/** Finds what is known of a provider. Null for one that nobody knows here. */
export function findProvider(name: string): ProviderRow | null {
  return Object.hasOwn(PROVIDERS, name) ? (PROVIDERS[name] ?? null) : null;
}

/**
 * Finds the address of a provider.
 *
 * @throws ModelUnavailable when there is none, or what is set is none.
 */
export function addressOf(row: ProviderRow, access: ProviderAccess): string {
  for (const name of row.addresses) {
    const set = readAddress(access.env, name)?.replace(/\/+$/, '');
    if (set !== undefined) return new URL(set).pathname === '/' ? `${set}${row.path ?? ''}` : set;
  }
  return row.defaultAddress(access);
}

function keyed(account: string, wire: Wire, key: string, address: string) {
  return { account, wire, secrets: [key], smallModel: null, defaultAddress: () => address };
}

/** A server that speaks OpenAI's chat completions. Which models it has, only its owner knows. */
function local(account: string, key: string, addressName: string, address: string): ProviderRow {
  return {
    ...keyed(account, 'openai-chat', key, address),
    isKeyOptional: true,
    addresses: [addressName],
    ...(address === '' ? {} : { path: '/v1' }),
    open: async (opening) => {
      const secrets = findProvider(account)?.secrets ?? [];
      const apiKey = secrets.map((name) => readSecret(opening, name)).find((found) => found !== null) ?? '';
      const { name: model, baseUrl, fetch } = opening;
      return wireModel({ provider: 'compatible', model, baseUrl, apiKey, fetch });
    },
  };
}

function settingsOf(opening: Opening, keyName: string) {
  return { apiKey: needSecret(opening, opening.id, keyName), baseURL: opening.baseUrl, fetch: opening.fetch };
}

/** A token goes before a pair of keys. Roles of machines are not looked up: their keys come through the environment. */
async function openBedrock(opening: Opening): Promise<LanguageModelV4> {
  const { createAmazonBedrock } = await import('@ai-sdk/amazon-bedrock');
  const { baseUrl: baseURL, fetch, env } = opening;
  const apiKey = readSecret(opening, 'AWS_BEARER_TOKEN_BEDROCK');
  if (apiKey !== null) return createAmazonBedrock({ apiKey, baseURL, fetch }).languageModel(opening.name);
  const accessKeyId = readSecret(opening, 'AWS_ACCESS_KEY_ID');
  if (accessKeyId === null) needSecret(opening, opening.id, 'AWS_BEARER_TOKEN_BEDROCK');
  const sessionToken = readSecret(opening, 'AWS_SESSION_TOKEN');
  return createAmazonBedrock({
    apiKey: '',
    accessKeyId: accessKeyId ?? '',
    secretAccessKey: needSecret(opening, opening.id, 'AWS_SECRET_ACCESS_KEY'),
    ...(sessionToken === null ? {} : { sessionToken }),
    region: regionOf(env),
    baseURL,
    fetch,
  }).languageModel(opening.name);
}

function regionOf(env: ProviderAccess['env']): string {
  const region = env['AWS_REGION']?.trim() ?? '';
  if (/^[a-z0-9-]+$/.test(region)) return region;
  const mend = 'Set AWS_REGION to the region in which the model is served, such as us-east-1.';
  throw new ModelUnavailable('model-error', 'AWS_REGION does not name a region', mend);
}

function awsDomain(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
}
