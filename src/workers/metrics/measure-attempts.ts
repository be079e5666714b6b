import type { ClosedAttempt } from '../../stores/observations.ts';
import type { Metrics } from './create-metrics.ts';

/** Kinds of tokens, as labels say them, and where an attempt's usage has them. */
const TOKENS = {
  input: 'inputTokens',
  output: 'outputTokens',
  'cache-read': 'cacheReadTokens',
  'cache-write': 'cacheWriteTokens',
  reasoning: 'reasoningTokens',
} as const;

/** Counts and times an attempt at a model or tool call once its observation is closed. */
export function measureAttempt(metrics: Metrics, attempt: ClosedAttempt): void {
  const { agent, kind, name, outcome, cause = '' } = attempt;
  const seconds = Math.max(0, Date.now() - attempt.openedAt.getTime()) / 1_000;
  if (kind === 'tool') {
    metrics.count('perdure_tool_calls_total', { agent, tool: name, outcome, cause });
    metrics.observe('perdure_tool_call_duration_seconds', { agent, tool: name, outcome }, seconds);
    return;
  }
  metrics.count('perdure_model_calls_total', { agent, model: name, outcome, cause });
  metrics.observe('perdure_model_call_duration_seconds', { agent, model: name, outcome }, seconds);
  for (const [type, field] of Object.entries(TOKENS)) {
    const tokens = attempt.usage?.[field] ?? 0;
    if (tokens > 0) metrics.count('perdure_model_tokens_total', { agent, model: name, type }, tokens);
  }
  if (attempt.chargedPico > 0n) {
    const simulated = String(attempt.isCostSimulated ?? false);
    metrics.count(
      'perdure_model_cost_usd_total',
      { agent, model: name, simulated },
      Number(attempt.chargedPico) / PICO_PER_USD,
    );
  }
  if (attempt.overPico > 0n) {
    const over = Number(attempt.overPico) / PICO_PER_USD;
    metrics.count('perdure_model_cost_over_reserved_usd_total', { agent, model: name }, over);
  }
}

/** For a graph a float will do; what is charged is exact in the rows. */
const PICO_PER_USD = 1e12;
