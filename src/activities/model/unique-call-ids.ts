import type { MessagePart } from '../../domain/model/message-part.ts';

/**
 * Gives every call of a transcript an id of its own, and its result the same. Ids name turn and call, so they repeat where a run goes on
 * with the transcript of another; some providers refuse that. A longer transcript keeps the names of its beginning.
 */
export function uniqueCallIds(parts: readonly MessagePart[]): readonly MessagePart[] {
  const times = new Map<string, number>();
  return parts.map((part) => {
    if (part.kind !== 'tool-call' && part.kind !== 'tool-result') return part;
    const { toolCallId } = part;
    const count = (times.get(toolCallId) ?? 0) + (part.kind === 'tool-call' ? 1 : 0);
    times.set(toolCallId, count);
    return count < 2 ? part : { ...part, toolCallId: `${toolCallId}r${count}` };
  });
}
