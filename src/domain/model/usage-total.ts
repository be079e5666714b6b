import type { Usage } from './usage.ts';

/**
 * Puts into the output what a provider counts beside it. Some servers say reasoning apart from the completion: more of it than there is output, or
 * their total, tells so. Some say what was thought in the total alone: what is neither input nor said to be output was charged as output.
 *
 * @param total What the provider calls the total of its tokens; anything but a count says nothing.
 */
export function withTotal(usage: Usage, total: unknown): Usage {
  const { inputTokens, outputTokens, reasoningTokens } = usage;
  const isBeside = reasoningTokens > outputTokens || total === inputTokens + outputTokens + reasoningTokens;
  const inside = isBeside ? { ...usage, outputTokens: outputTokens + reasoningTokens } : usage;
  const rest = isCount(total) ? total - inputTokens - inside.outputTokens : 0;
  if (rest <= 0) return inside;
  return { ...inside, outputTokens: inside.outputTokens + rest, reasoningTokens: reasoningTokens + rest };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
