import type { LanguageModelV4Usage } from '@ai-sdk/provider';
import type { Usage } from '../../domain/model/usage.ts';

/**
 * Reads what a provider charged, once and in one shape: cached input inside the input, reasoning inside the output.
 *
 * @returns null when the provider did not say it, or said what cannot be: no call has an empty prompt.
 */
export function normaliseUsage(usage: LanguageModelV4Usage): Usage | null {
  const input = usage.inputTokens.total;
  const written = usage.outputTokens.total;
  if (!isCount(input) || input === 0 || !isCount(written)) return null;
  const reasoning = countOr0(usage.outputTokens.reasoning);
  const output = hasReasoningOutside(usage, input, written, reasoning) ? written + reasoning : written;
  const cacheRead = Math.min(input, countOr0(usage.inputTokens.cacheRead));
  return {
    inputTokens: input,
    outputTokens: output,
    cacheReadTokens: cacheRead,
    cacheWriteTokens: Math.min(input - cacheRead, countOr0(usage.inputTokens.cacheWrite ?? rawCacheWrite(usage))),
    reasoningTokens: Math.min(output, reasoning),
  };
}

/** Some providers (xAI) count reasoning beside the completion: their total says so, or more reasoning than output does. */
function hasReasoningOutside(usage: LanguageModelV4Usage, input: number, output: number, reasoning: number): boolean {
  if (reasoning > output) return true;
  return reasoning > 0 && usage.raw?.['total_tokens'] === input + output + reasoning;
}

function rawCacheWrite(usage: LanguageModelV4Usage): unknown {
  const details = usage.raw?.['prompt_tokens_details'];
  return typeof details === 'object' && details !== null && 'cache_write_tokens' in details
    ? details.cache_write_tokens
    : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function countOr0(value: unknown): number {
  return isCount(value) ? value : 0;
}
