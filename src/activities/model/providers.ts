import { createHash } from 'node:crypto';
import type { Rehearsal } from '../../authoring/define-agent.ts';
import type { ModelChoice } from '../../domain/model/model-policy.ts';
import {
  BUILT_IN_PRICES,
  ceilingPrice,
  findPrice,
  type FoundPrice,
  type PriceBook,
  simulatedPrice,
} from '../../domain/model/price-table.ts';
import type { ModelPrice } from '../../domain/model/price.ts';
import type { ResolvedModel } from './invoke-model.ts';
import { type UsageLookup, usageLookup } from './look-up-usage.ts';
import { ModelUnavailable } from './model-errors.ts';
import type { CountPlayed } from '../recorded/player.ts';
import { playedModel, type Recordings } from '../recorded/recorded-models.ts';
import { openedModel } from './opened-model.ts';
import { type Environment, isSecretSet, type ProviderAccess, readSecret } from './provider-access.ts';
import { addressOf, findProvider, PROVIDER_NAMES, type ProviderRow } from './provider-table.ts';
import { rehearsalModel } from './rehearsal-model.ts';
import type { ScriptedModel } from './scripted-model.ts';
import type { Fetch } from './wire-model.ts';

export type { Environment } from './provider-access.ts';

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
  /** Recordings that are played as models. */
  readonly recordings?: Recordings;
  /** Says what runs have played of them, whichever process they were in. Without it each process counts its own. */
  readonly countPlayed?: CountPlayed;
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

const DEFAULT_MODEL = 'gpt-5-mini';

/** Makes the models that a worker can call. */
export function createModels(settings: ModelSettings): Models {
  return {
    usageLookup: (modelId) =>
      modelId.startsWith('openai-compatible:')
        ? usageLookup({
            template: settings.env['PERDURE_MODEL_USAGE_URL'],
            readKey: () => compatibleKey(settings),
            fetch: fetchOf(settings),
          })
        : null,
    resolve: async ({ id }) => {
      const colon = id.indexOf(':');
      const provider = id.slice(0, Math.max(0, colon));
      const name = id.slice(colon + 1);
      if (name === '') throw unknownModel(id, 'Name a model after the colon.');
      switch (provider) {
        case 'rehearsal':
          return rehearsal(settings, id, name);
        case 'scripted':
          return script(settings, id, name);
        case 'recorded':
          return playedModel(createModels, settings, id, name);
      }
      const row = findProvider(provider);
      if (row !== null) return ofProvider(settings, row, { id, provider, name });
      const known = [...PROVIDER_NAMES, 'rehearsal'].map((each) => `${each}:`).join(', ');
      throw unknownModel(id, `Put the name of a provider before that of the model: ${known}.`);
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
  if (isWholeId(model, env)) return model;
  if (isSet(env['PERDURE_MODEL_BASE_URL'])) return `openai-compatible:${model || DEFAULT_MODEL}`;
  const hasKey = isSet(env['OPENAI_API_KEY']) || isSet(env['OPENAI_API_KEY_FILE']);
  return hasKey || model !== '' ? `openai:${model || DEFAULT_MODEL}` : choiceId;
}

/**
 * Tells a whole id from a name. Servers of one's own have models such as `mistral:7b`, so with such a server the word before the colon
 * counts as a provider only where that is configured as well.
 */
function isWholeId(model: string, env: Environment): boolean {
  const [, provider = ''] = /^([^:]+):./.exec(model) ?? [];
  const row = findProvider(provider);
  if (row === null) return false;
  const isOwn = isSet(env['PERDURE_MODEL_BASE_URL']) && !provider.startsWith('openai');
  return !isOwn || [...row.secrets, ...row.addresses].some((name) => isSecretSet(env, name));
}

/** Finds a model of a provider. Its key is read when it is called, so that a missing one shows there. */
function ofProvider(
  settings: ModelSettings,
  row: ProviderRow,
  { id, provider, name }: { readonly id: string; readonly provider: string; readonly name: string },
): ResolvedModel {
  const access = accessOf(settings);
  const baseUrl = addressOf(row, access);
  const open = (fetch: Fetch) => row.open({ ...access, fetch, id, name, baseUrl });
  const options = row.options === undefined ? {} : { options: row.options };
  const keyName = row.secrets.find((secret) => isSecretSet(settings.env, secret)) ?? row.secrets[0] ?? null;
  return {
    model: openedModel({ provider, modelId: name, fetch: access.fetch, open, ...options }),
    id,
    provider,
    credential: credentialOf(row, access, baseUrl),
    wire: row.wire,
    keyName,
    price: modelPrice(settings, provider, name),
    ...serverOf(baseUrl),
    simulated: false,
  };
}

/** Names the server that a model is called at, where the configuration does. */
function serverOf(baseUrl: string | null | undefined): { readonly server?: string } {
  return isSet(baseUrl ?? undefined) && URL.canParse(baseUrl ?? '') ? { server: new URL(baseUrl ?? '').host } : {};
}

/** Secret that comes with the keys of a session of AWS. */
const SESSION_TOKEN = 'AWS_SESSION_TOKEN';

/** Names the account that a call draws on. Never the key: whoever reads the name cannot tell it. */
function credentialOf({ account, secrets }: ProviderRow, access: ProviderAccess, baseUrl: string): string {
  const values = secrets.map((name) => {
    try {
      return readSecret(access, name) ?? '';
    } catch {
      // It shows at the call.
      return '';
    }
  });
  // Keys of a session are another's for each process and each hour: the account that they draw on is one.
  const isSession = (values[secrets.indexOf(SESSION_TOKEN)] ?? '') !== '';
  const hash = createHash('sha256').update(JSON.stringify([account, baseUrl, ...(isSession ? [] : values)]));
  return `${account}-${hash.digest('hex').slice(0, 12)}`;
}

function accessOf(settings: ModelSettings): ProviderAccess {
  const { env, readFile } = settings;
  return { env, fetch: fetchOf(settings), ...(readFile === undefined ? {} : { readFile }) };
}

/** A local server may need no key, so a missing one is not refused here. */
function compatibleKey(settings: ModelSettings): string {
  const access = accessOf(settings);
  return readSecret(access, 'PERDURE_MODEL_API_KEY') ?? readSecret(access, 'OPENAI_API_KEY') ?? '';
}

function rehearsal(settings: ModelSettings, id: string, agent: string): ResolvedModel {
  const found = settings.rehearsals.get(agent);
  if (found === undefined) throw unknownModel(id, `Give the agent ${agent} a rehearsal, or a model of a provider.`);
  return {
    model: rehearsalModel(agent, found),
    id,
    provider: 'rehearsal',
    credential: 'rehearsal',
    wire: 'simulated',
    keyName: null,
    price: simulatedPrice(),
    simulated: true,
  };
}

function script(settings: ModelSettings, id: string, name: string): ResolvedModel {
  const model = settings.scripts?.get(name);
  if (model === undefined) throw unknownModel(id, `Give this worker the script ${name}.`);
  return {
    model,
    id,
    provider: 'scripted',
    credential: 'scripted',
    wire: 'simulated',
    keyName: null,
    price: simulatedPrice(),
    simulated: true,
  };
}

/** The global `fetch` is looked up at each call, as tracing may replace it after this module was loaded. */
function fetchOf(settings: ModelSettings): Fetch {
  return settings.fetch ?? ((input, init) => globalThis.fetch(input, init));
}

/**
 * Finds what a model costs here: what a person wrote down for it, else the table, else the configured ceiling. Null when nobody knows.
 *
 * @param provider The part of the model's id before the colon.
 * @throws ModelUnavailable when the configured ceiling is no price.
 */
export function findModelPrice(
  { env, prices = BUILT_IN_PRICES }: Pick<ModelSettings, 'env' | 'prices'>,
  provider: string,
  name: string,
): FoundPrice | null {
  const found = findPrice(provider, name, prices);
  const row = findProvider(provider);
  if (found?.from === 'file' || row === null) return found;
  const price = configuredCeiling(env);
  const ceiling: FoundPrice | null = price === null ? null : { price, model: { id: name, rows: [] }, from: 'ceiling' };
  // The name of a known model does not say what a server of one's own takes for it.
  return row.isKeyOptional === true ? (ceiling ?? found) : (found ?? ceiling);
}

/** Gives the price that {@link findModelPrice} finds. */
export function modelPrice(
  settings: Pick<ModelSettings, 'env' | 'prices'>,
  provider: string,
  name: string,
): ModelPrice | null {
  return findModelPrice(settings, provider, name)?.price ?? null;
}

/** @throws ModelUnavailable when the ceiling is not a price: a typing error must not become a free model. */
function configuredCeiling(env: Environment): ModelPrice | null {
  const name = 'PERDURE_MODEL_CEILING_USD_PER_MTOK';
  const text = env[name];
  if (!isSet(text)) return null;
  if (CEILING.test(text.trim())) return ceilingPrice(Number(text));
  throw new ModelUnavailable(
    'model-error',
    `${name} is not a price`,
    `Set ${name} to USD per million tokens, from 0 to 999999 with at most 6 decimals, such as 2.5.`,
  );
}

/** A millionth of a dollar for a million tokens is a pico-dollar a token: what is finer would be rounded to nothing. */
const CEILING = /^\d{1,6}(?:\.\d{1,6})?$/;

function unknownModel(id: string, mend: string): ModelUnavailable {
  return new ModelUnavailable('model-error', `This worker has no model ${id}`, mend);
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== '';
}
