import type { LanguageModelV4CallOptions } from '@ai-sdk/provider';
import { ModelUnavailable } from './model-errors.ts';

/** Tokens below which Anthropic takes no thinking budget. */
const THINKING_TOKENS_MIN = 1_024;

type Json = { [name: string]: unknown };

/** Where wires say how much a model may write: all of it, reasoning included. */
const LIMITS_OF_BODY: readonly (readonly string[])[] = [
  ['max_tokens'],
  ['max_completion_tokens'],
  ['max_output_tokens'],
  ['generationConfig', 'maxOutputTokens'],
  ['inferenceConfig', 'maxTokens'],
];

/** Where wires say how many replies they want: every one of them is paid. */
const COUNTS_OF_BODY: readonly (readonly string[])[] = [
  ['n'],
  ['best_of'],
  ['candidateCount'],
  ['generationConfig', 'candidateCount'],
];

const THINKING_OF_BODY: readonly (readonly string[])[] = [['thinking'], ['additionalModelRequestFields', 'thinking']];

/** Where agents name a thinking budget: packages add it to what may be written. */
const THINKING_OF_OPTIONS: readonly (readonly [provider: string, member: string])[] = [
  ['anthropic', 'thinking'],
  ['amazonBedrock', 'reasoningConfig'],
];

/**
 * Makes room for a thinking budget that an agent names: packages of Anthropic and Bedrock add it to what may be written, and what is reserved for a call is
 * the whole. Where the whole is less than the budget, as for a short last answer, thinking takes half of it; before the package signs the request.
 */
export function withinReserved(options: LanguageModelV4CallOptions): LanguageModelV4CallOptions {
  const { maxOutputTokens, providerOptions = {} } = options;
  if (maxOutputTokens === undefined) return options;
  const half = Math.floor(maxOutputTokens / 2);
  const lowered: { [provider: string]: Json } = { ...providerOptions };
  let budget = 0;
  for (const [provider, member] of THINKING_OF_OPTIONS) {
    const { [member]: thinking, ...rest } = lowered[provider] ?? {};
    if (!isObject(thinking) || numberOf(thinking['budgetTokens']) === 0) continue;
    const named = numberOf(thinking['budgetTokens']);
    const own = named < maxOutputTokens ? named : half;
    if (own < named && own < THINKING_TOKENS_MIN) lowered[provider] = rest;
    else {
      lowered[provider] = { ...rest, [member]: { ...thinking, budgetTokens: own } };
      budget = Math.max(budget, own);
    }
  }
  if (budget === 0 && Object.keys(providerOptions).length === 0) return options;
  return { ...options, maxOutputTokens: maxOutputTokens - budget, providerOptions: lowered as typeof providerOptions };
}

/**
 * Holds a request to the tokens that are reserved for it, whatever a provider's package or an agent's options made of them: a limit above is lowered,
 * thinking then takes half of it at most, and one reply is asked for.
 *
 * @throws ModelUnavailable where the body is signed, so that it cannot be changed any more.
 */
export function boundOutput(
  init: RequestInit | undefined,
  outputTokensMax: number | undefined,
): RequestInit | undefined {
  if (outputTokensMax === undefined || typeof init?.body !== 'string') return init;
  const body = readObject(init.body);
  if (body === null || !lower(body, outputTokensMax)) return init;
  if (new Headers(init.headers).get('authorization')?.startsWith('AWS4-') === true) {
    throw new ModelUnavailable(
      'model-error',
      `the request asks for more than the ${outputTokensMax} tokens that the call may write, and it is signed`,
      'Raise outputTokensMax above the thinking budget, name a smaller one in providerOptions.amazonBedrock.reasoningConfig, or use AWS_BEARER_TOKEN_BEDROCK.',
    );
  }
  const headers = new Headers(init.headers);
  headers.delete('content-length');
  return { ...init, headers, body: JSON.stringify(body) };
}

/** Lowers what is above; true where anything was. */
function lower(body: Json, outputTokensMax: number): boolean {
  const limits = LIMITS_OF_BODY.map((path) => lowerMember(body, path, outputTokensMax));
  const counts = COUNTS_OF_BODY.map((path) => lowerMember(body, path, 1));
  if (limits.includes(true)) for (const path of THINKING_OF_BODY) lowerThinking(body, path, outputTokensMax);
  return [...limits, ...counts].includes(true);
}

function lowerMember(body: Json, path: readonly string[], max: number): boolean {
  const [holder, name] = placeOf(body, path);
  if (holder === null || numberOf(holder[name]) <= max) return false;
  holder[name] = max;
  return true;
}

function lowerThinking(body: Json, path: readonly string[], outputTokensMax: number): void {
  const [holder, name] = placeOf(body, path);
  const thinking = holder?.[name];
  if (holder === null || !isObject(thinking) || numberOf(thinking['budget_tokens']) === 0) return;
  const budget = Math.min(numberOf(thinking['budget_tokens']), Math.floor(outputTokensMax / 2));
  if (budget < THINKING_TOKENS_MIN) delete holder[name];
  else thinking['budget_tokens'] = budget;
}

/** Finds the object that a path's last member is in. */
function placeOf(body: Json, path: readonly string[]): readonly [holder: Json | null, name: string] {
  let holder: unknown = body;
  for (const name of path.slice(0, -1)) holder = isObject(holder) ? holder[name] : null;
  return [isObject(holder) ? holder : null, path.at(-1) ?? ''];
}

function readObject(text: string): Json | null {
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? body : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
