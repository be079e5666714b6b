import { ModelUnavailable } from './model-errors.ts';
import type { Fetch } from './wire-model.ts';

/** Environment variables. Read at each call, so that a key put right needs no restart where the object changes. */
export type Environment = { readonly [name: string]: string | undefined };

/** How a provider is reached: its secrets, its address and its HTTP client. */
export type ProviderAccess = {
  readonly env: Environment;
  readonly fetch: Fetch;
  /** Reads a key file as text. Without it no key comes from a file. */
  readonly readFile?: (path: string) => string;
};

/** Characters that a header takes. Quotes of a word processor and the line ends of a second key are none. */
const KEY = /^[\x21-\x7e]+$/;

/**
 * Reads a secret from `<name>_FILE` where that is set, and otherwise from `name`. Null when there is none.
 *
 * @throws ModelUnavailable when the file cannot be read, or holds what is no key.
 */
export function readSecret(access: Omit<ProviderAccess, 'fetch'>, name: string): string | null {
  const secret = readText(access, name);
  if (secret === null || KEY.test(secret)) return secret;
  const message = `${name} has characters that are in no key`;
  throw new ModelUnavailable('model-authentication', message, `Copy the key anew: ${mendKey(name)}`);
}

function readText({ env, readFile }: Omit<ProviderAccess, 'fetch'>, name: string): string | null {
  const file = env[`${name}_FILE`];
  if (file !== undefined && file !== '' && readFile !== undefined) {
    try {
      return readFile(file).trim() || null;
    } catch {
      const message = `The file that ${name}_FILE names cannot be read`;
      throw new ModelUnavailable('model-authentication', message, mendKey(name));
    }
  }
  return env[name]?.trim() || null;
}

/**
 * Reads a secret that a provider cannot do without.
 *
 * @throws ModelUnavailable when it is missing.
 */
export function needSecret(access: Omit<ProviderAccess, 'fetch'>, id: string, name: string): string {
  const secret = readSecret(access, name);
  if (secret !== null) return secret;
  throw new ModelUnavailable('model-authentication', `${id} has no key: ${name} is not set`, mendKey(name));
}

/**
 * Reads an address; null when none is set.
 *
 * @throws ModelUnavailable for what is no HTTP address: a typing error must not send a key elsewhere.
 */
export function readAddress(env: Environment, name: string): string | null {
  const url = env[name]?.trim();
  if (url === undefined || url === '') return null;
  if (URL.canParse(url) && /^https?:/.test(url)) return url;
  throw new ModelUnavailable('model-error', `${name} is not an HTTP address`, 'Write it as http://host:port/v1.');
}

/** Tells whether a variable has a value, here or in the file of its `_FILE` variable. */
export function isSecretSet(env: Environment, name: string): boolean {
  return [name, `${name}_FILE`].some((each) => (env[each] ?? '').trim() !== '');
}

function mendKey(name: string): string {
  return `Set ${name}, or ${name}_FILE to a file that holds it.`;
}
