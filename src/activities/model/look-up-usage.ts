import type { LanguageModelV4Usage } from '@ai-sdk/provider';
import type { Usage } from '../../domain/model/usage.ts';
import { normaliseUsage } from './normalise-usage.ts';
import { ModelUnavailable } from './model-errors.ts';
import type { Fetch } from './wire-model.ts';

/**
 * What a provider knows of a call: `charged` with what it used, `free` when it has seen the call and never charges for it, and `unknown`
 * when it has not seen it, has not finished it or does not answer. What is unknown may still be charged.
 */
export type KnownUsage =
  { readonly kind: 'charged'; readonly usage: Usage } | { readonly kind: 'free' } | { readonly kind: 'unknown' };

/** Asks a provider about a call by the id that went with it as `x-client-request-id`. */
export type UsageLookup = (requestId: string, signal: AbortSignal) => Promise<KnownUsage>;

export type LookupSettings = {
  /** Address with `{id}` in the place of the request id; undefined or empty where none is configured. */
  readonly template: string | undefined;
  /** Asked at each lookup; an empty string sends no key. */
  readonly readKey: () => string;
  readonly fetch: Fetch;
};

/** Where the id stands in the address. */
const PLACE = '{id}';

/**
 * Makes the lookup of an OpenAI-compatible server that keeps usage under our request ids: `GET` of `PERDURE_MODEL_USAGE_URL` answers
 * `{"usage": {…}}` as in a completion, or `{"usage": null}`. Null when none is configured.
 *
 * @throws ModelUnavailable when what is configured is no such address: a typing error must not hold money for ever.
 */
export function usageLookup({ template = '', readKey, fetch }: LookupSettings): UsageLookup | null {
  if (template.trim() === '') return null;
  if (!template.includes(PLACE) || !/^https?:/.test(template) || !URL.canParse(template)) {
    throw new ModelUnavailable(
      'model-error',
      'PERDURE_MODEL_USAGE_URL is not an HTTP address with {id} in it',
      'Write it as http://host:port/usage/{id}, or leave it out.',
    );
  }
  return async (requestId, signal) => {
    try {
      const key = readKey();
      const response = await fetch(template.replaceAll(PLACE, encodeURIComponent(requestId)), {
        signal,
        headers: key === '' ? {} : { authorization: `Bearer ${key}` },
      });
      return response.ok ? readUsage(await response.json()) : { kind: 'unknown' };
    } catch {
      // Whoever asks goes on without the answer: the money stays held.
      return { kind: 'unknown' };
    }
  };
}

/** No package has read the answer: what it says counts alone. */
const NOTHING_TOLD: LanguageModelV4Usage = {
  inputTokens: { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: undefined, text: undefined, reasoning: undefined },
};

/** Reads usage in the words of a completion, with the same care as that of a reply. */
function readUsage(body: unknown): KnownUsage {
  const usage = memberOf(body, 'usage');
  if (usage === null) return { kind: 'free' };
  const known = normaliseUsage('openai-chat', {
    ...NOTHING_TOLD,
    raw: usage as NonNullable<LanguageModelV4Usage['raw']>,
  });
  return known === null ? { kind: 'unknown' } : { kind: 'charged', usage: known };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
