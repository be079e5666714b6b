import type { ModelChoice } from '../model/model-policy.ts';
import { bytesOf, type ChainNode } from './chain.ts';
import { isContextLong, roomToKeep } from './context-room.ts';
import { planCompaction } from './plan-compaction.ts';

/** Bytes of prose in a token, where a provider does not count. */
const BYTES_PER_TOKEN = 4;

/**
 * Says whether a transcript should be compacted before its model is called again, and through which turn. Null when it need not.
 *
 * @param nodes The transcript with the reply.
 * @param fixedBytes Instructions and tools.
 * @param counted Tokens of prompt and reply as the provider counted them; null when it did not.
 */
export function dueAfterReply(
  choice: ModelChoice,
  nodes: readonly ChainNode[],
  fixedBytes: number,
  counted: number | null,
): number | null {
  const bytes = bytesOf(nodes) + fixedBytes;
  const tokens = counted ?? Math.ceil(bytes / BYTES_PER_TOKEN);
  if (!isContextLong(choice, tokens)) return null;
  return planCompaction(nodes, roomToKeep(choice, { bytes, tokens }, fixedBytes))?.through ?? null;
}

/** Says through which turn a transcript can be compacted whose prompt was refused. Null when nothing can be replaced. */
export function dueAfterRefusal(choice: ModelChoice, nodes: readonly ChainNode[], fixedBytes: number): number | null {
  return planCompaction(nodes, roomToKeep(choice, null, fixedBytes))?.through ?? null;
}
