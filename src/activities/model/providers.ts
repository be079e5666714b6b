import type { Rehearsal } from '../../authoring/define-agent.ts';
import type { ModelChoice } from '../../domain/model/model-policy.ts';
import {
  BUILT_IN_PRICES,
  ceilingPrice,
  findPrice,
  type PriceBook,
  simulatedPrice,
} from '../../domain/model/price-table.ts';
import type { ModelPrice } from '../../domain/model/price.ts';
import type { ResolvedModel } from './invoke-model.ts';
import { type UsageLookup, usageLookup } from './look-up-usage.ts';
import { ModelUnavailable } from './model-errors.ts';
import { rehearsalModel } from './rehearsal-model.ts';
import type { ScriptedModel } from './scripted-model.ts';
import { wireModel, type Fetch } from './wire-model.ts';

/** Environment variables. Read at each call, so that a key put right needs no restart where the object changes. */
export type Environment = { readonly [name: string]: string | undefined };

export type ModelSettings = {
  readonly env: Environment;
  /** Defaults to the global one. */
  readonly fetch?: Fetch;
  /** Reads a key file (`OPENAI_API_KEY_FILE`) as text. Without it no key comes from a file. */
  readonly readFile?: (path: string) => string;
  /** Rehearsals by agent name. */
  readonly rehearsals: ReadonlyMap<string, Rehearsal>;
  /** Scripted models by name, for tests. */
  readonly scripts?: ReadonlyMap<string, ScriptedModel>;
  /** Where prices are looked up. Defaults to the table that is built in. */
  readonly prices?: PriceBook;
};

export type Models = {
  /**
   * Finds the model of a choice.
   *
   * @throws ModelUnavailable when this worker has no such model; a missing key shows at the call.
   */
  readonly resolve: (choice: ModelChoice) => Promise<ResolvedModel>;
  /** Finds how to ask what a model's provider has charged for a call. Null where it cannot be asked. */
  readonly usageLookup?: (modelId: string) => UsageLookup | null;
};

const OPENAI_BASE_URL = 'https://api.openai.com/v1';
const DEFAULT_MODEL = 'gpt-5-mini';

/** Makes the models that a worker can call. */
export function createModels(settings: ModelSettings): Models {
  return {
    usageLookup: (modelId) =>
      modelId.startsWith('openai-compatible:')
        ? usageLookup({
            template: settings.env['PERDURE_MODEL_USAGE_URL'],
            readKey: compatibleKey(settings),
            fetch: fetchOf(settings),
          })
        : null,
    resolve: async ({ id }) => {
      const colon = id.indexOf(':');
      const provider = id.slice(0, Math.max(0, colon));
      const name = id.slice(colon + 1);
      if (name === '') throw unknownModel(id, 'Name a model after the colon.');
      switch (provider) {
        case 'openai':
          return openAi(settings, id, name);
        case 'openai-responses':
          return openAiResponses(settings, id, name);
        case 'anthropic':
          return anthropic(settings, id, name);
        case 'openai-compatible':
          return compatible(settings, id, name);
        case 'rehearsal':
          return rehearsal(settings, id, name);
        case 'scripted':
          return script(settings, id, name);
        default:
          throw unknownModel(
            id,
            'Use openai:, openai-responses:, anthropic:, openai-compatible: or rehearsal: before the name of the model.',
          );
      }
    },
  };
}

/**
 * Names the model that a release gets: with a provider configured, a real model takes a rehearsal's place. `PERDURE_MODEL` is the
 * name of a model, or a whole id.
 */
export function effectiveModelId(choiceId: string, env: Environment): string {
  if (!choiceId.startsWith('rehearsal:')) return choiceId;
  const model = env['PERDURE_MODEL'] ?? '';
  if (/^(?:openai|openai-compatible):./.test(model)) return model;
  if (isSet(env['PERDURE_MODEL_BASE_URL'])) return `openai-compatible:${model || DEFAULT_MODEL}`;
  const hasKey = isSet(env['OPENAI_API_KEY']) || isSet(env['OPENAI_API_KEY_FILE']);
  return hasKey || model !== '' ? `openai:${model || DEFAULT_MODEL}` : choiceId;
}

function openAi(settings: ModelSettings, id: string, name: string): ResolvedModel {
  const keyName = 'OPENAI_API_KEY';
  const readKey = (): string => keyOf(settings, id, keyName);
  const baseUrl = baseUrlOf(settings.env) ?? OPENAI_BASE_URL;
  const model = wireModel({ provider: 'openai', model: name, baseUrl, readKey, fetch: fetchOf(settings) });
  return {
    model,
    id,
    wire: 'openai-chat',
    keyName,
    price: modelPrice(settings, 'openai', name),
    simulated: false,
  };
}

async function openAiResponses(settings: ModelSettings, id: string, name: string): Promise<ResolvedModel> {
  const keyName = 'OPENAI_API_KEY';
  const { createOpenAI } = await import('@ai-sdk/openai');
  const model = createOpenAI({
    baseURL: baseUrlOf(settings.env) ?? OPENAI_BASE_URL,
    apiKey: keyOf(settings, id, keyName),
    fetch: fetchOf(settings),
  }).responses(name);
  const price = modelPrice(settings, 'openai-responses', name);
  return { model, id, wire: 'openai-responses', keyName, price, simulated: false };
}

async function anthropic(settings: ModelSettings, id: string, name: string): Promise<ResolvedModel> {
  const keyName = 'ANTHROPIC_API_KEY';
  const { createAnthropic } = await import('@ai-sdk/anthropic');
  const baseURL = settings.env['ANTHROPIC_BASE_URL'];
  const model = createAnthropic({
    ...(isSet(baseURL) ? { baseURL } : {}),
    apiKey: keyOf(settings, id, keyName),
    fetch: fetchOf(settings),
  }).languageModel(name);
  const price = modelPrice(settings, 'anthropic', name);
  return { model, id, wire: 'anthropic', keyName, price, simulated: false };
}

/** @throws ModelUnavailable when the key is missing. */
function keyOf(settings: ModelSettings, id: string, keyName: string): string {
  const key = readSecret(settings, keyName);
  if (key !== null) return key;
  throw new ModelUnavailable('model-authentication', `${id} has no key: ${keyName} is not set`, mendKey(keyName));
}

function compatible(settings: ModelSettings, id: string, name: string): ResolvedModel {
  const baseUrl = baseUrlOf(settings.env);
  if (baseUrl === null) {
    const mend = 'Set PERDURE_MODEL_BASE_URL to the address of the server, for example http://localhost:11434/v1.';
    throw new ModelUnavailable('model-error', `${id} has no server: PERDURE_MODEL_BASE_URL is not set`, mend);
  }
  const readKey = compatibleKey(settings);
  const model = wireModel({ provider: 'compatible', model: name, baseUrl, readKey, fetch: fetchOf(settings) });
  const price = modelPrice(settings, 'openai-compatible', name);
  const isShared = !isSet(settings.env['PERDURE_MODEL_API_KEY']) && isSet(settings.env['OPENAI_API_KEY']);
  const keyName = isShared ? 'OPENAI_API_KEY' : 'PERDURE_MODEL_API_KEY';
  return { model, id, wire: 'openai-chat', keyName, price, simulated: false };
}

/** A local server may need no key, so a missing one is not refused here. */
function compatibleKey(settings: ModelSettings): () => string {
  return () => readSecret(settings, 'PERDURE_MODEL_API_KEY') ?? readSecret(settings, 'OPENAI_API_KEY') ?? '';
}

function rehearsal(settings: ModelSettings, id: string, agent: string): ResolvedModel {
  const found = settings.rehearsals.get(agent);
  if (found === undefined) throw unknownModel(id, `Give the agent ${agent} a rehearsal, or a model of a provider.`);
  return {
    model: rehearsalModel(agent, found),
    id,
    wire: 'simulated',
    keyName: null,
    price: simulatedPrice(),
    simulated: true,
  };
}

function script(settings: ModelSettings, id: string, name: string): ResolvedModel {
  const model = settings.scripts?.get(name);
  if (model === undefined) throw unknownModel(id, `Give this worker the script ${name}.`);
  return { model, id, wire: 'simulated', keyName: null, price: simulatedPrice(), simulated: true };
}

/** The global `fetch` is looked up at each call, as tracing may replace it after this module was loaded. */
function fetchOf(settings: ModelSettings): Fetch {
  return settings.fetch ?? ((input, init) => globalThis.fetch(input, init));
}

/** Reads a secret from `<name>_FILE` where that is set, and otherwise from `name`. Null when there is none. */
function readSecret({ env, readFile }: ModelSettings, name: string): string | null {
  const file = env[`${name}_FILE`];
  if (file !== undefined && file !== '' && readFile !== undefined) {
    try {
      return readFile(file).trim() || null;
    } catch {
      throw new ModelUnavailable(
        'model-authentication',
        `The file that ${name}_FILE names cannot be read`,
        mendKey(name),
      );
    }
  }
  return env[name]?.trim() || null;
}

function baseUrlOf(env: Environment): string | null {
  const url = env['PERDURE_MODEL_BASE_URL'];
  if (!isSet(url)) return null;
  if (URL.canParse(url) && /^https?:/.test(url)) return url;
  throw new ModelUnavailable(
    'model-error',
    'PERDURE_MODEL_BASE_URL is not an HTTP address',
    'Write it as http://host:port/v1.',
  );
}

/**
 * Finds what a model costs here: what a person wrote down for it, else the table, else the configured ceiling. Null when nobody knows.
 *
 * @param provider The part of the model's id before the colon.
 * @throws ModelUnavailable when the configured ceiling is no price.
 */
export function modelPrice(
  { env, prices = BUILT_IN_PRICES }: Pick<ModelSettings, 'env' | 'prices'>,
  provider: string,
  name: string,
): ModelPrice | null {
  const found = findPrice(provider, name, prices);
  if (found?.from === 'file') return found.price;
  const ceiling = configuredCeiling(env);
  // The name of a known model does not say what a server of one's own takes for it.
  return provider === 'openai-compatible' ? (ceiling ?? found?.price ?? null) : (found?.price ?? ceiling);
}

/** @throws ModelUnavailable when the ceiling is not a price: a typing error must not become a free model. */
function configuredCeiling(env: Environment): ModelPrice | null {
  const name = 'PERDURE_MODEL_CEILING_USD_PER_MTOK';
  const text = env[name];
  if (!isSet(text)) return null;
  if (/^\d+(?:\.\d+)?$/.test(text.trim())) return ceilingPrice(Number(text));
  throw new ModelUnavailable(
    'model-error',
    `${name} is not a price`,
    `Set ${name} to USD per million tokens, such as 2.5.`,
  );
}

function unknownModel(id: string, mend: string): ModelUnavailable {
  return new ModelUnavailable('model-error', `This worker has no model ${id}`, mend);
}

function mendKey(keyName: string): string {
  return `Set ${keyName}, or ${keyName}_FILE to a file that holds it.`;
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== '';
}
