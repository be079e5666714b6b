import type { ReceiptAttempt } from '../../../src/domain/run/receipt.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type { LedgerEntry, ProviderServer, WireUsage } from '../provider-server.ts';

/** The model whose list prices the tests' provider takes. */
export const PRICED_MODEL = 'gpt-5-mini';

/** Its prices in pico-dollars a token, written down here a second time: the provider's ledger must not share our arithmetic. */
const PICO = { input: 250_000n, cached: 25_000n, output: 2_000_000n };

/** Lets a worker call the tests' provider at list prices. */
export function pricedEnvironment({ baseUrl }: ProviderServer): Record<string, string> {
  return { PERDURE_MODEL_BASE_URL: baseUrl, PERDURE_MODEL: PRICED_MODEL };
}

/** Makes a usage as a provider words it, another one for every number. */
export function usageOfCall(n: number): WireUsage {
  const [prompt, completion] = [1_000 + 37 * n, 50 + 11 * (n % 29)];
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: 13 * (n % 41) },
    completion_tokens_details: { reasoning_tokens: 7 * (n % 5) },
  };
}

/** What the provider says that a call cost. */
export type Charged = {
  readonly input: number;
  readonly cached: number;
  readonly output: number;
  readonly reasoning: number;
  readonly pico: bigint;
};

/** Reads what a call cost from the provider's ledger; null when it charged nothing. */
export function chargedFor({ charged }: LedgerEntry): Charged | null {
  if (charged === null) return null;
  const { prompt_tokens: input, completion_tokens: output } = charged;
  const cached = countIn(charged.prompt_tokens_details, 'cached_tokens');
  const reasoning = countIn(charged.completion_tokens_details, 'reasoning_tokens');
  const pico = BigInt(input - cached) * PICO.input + BigInt(cached) * PICO.cached + BigInt(output) * PICO.output;
  return { input, cached, output, reasoning, pico };
}

/** Reads the same from an attempt of a receipt. */
export function receiptOf({ reservation, ...attempt }: ReceiptAttempt): Charged {
  return {
    input: attempt.inputTokens ?? 0,
    cached: attempt.cacheReadTokens ?? 0,
    output: attempt.outputTokens ?? 0,
    reasoning: attempt.reasoningTokens ?? 0,
    pico: BigInt(reservation?.actualPico ?? 0),
  };
}

/** Adds money. */
export function sumPico(amounts: readonly bigint[]): bigint {
  return amounts.reduce((sum, each) => sum + each, 0n);
}

function countIn(details: JsonObject | undefined, name: string): number {
  return Number(details?.[name] ?? 0);
}
