/**
 * Names a call within its run. The provider's own ids repeat or are missing, so the transcript holds these instead; letters and digits
 * only, because some providers refuse others.
 */
export function toolCallId(turn: number, index: number): string {
  return `t${turn}c${index}`;
}
