import type { MessagePart } from '../model/message-part.ts';

/** First and last node of a stretch of a transcript. */
export type NodeRange = { readonly from: string; readonly to: string };

/** A part of a transcript with its address and the size of its bytes, less those of a file's own. */
export type ChainSegment = { readonly ref: string; readonly part: MessagePart; readonly bytes: number };

/** One node of a transcript as it is read: what was said before a model call, a reply, or a summary. */
export type ChainNode = {
  readonly address: string;
  readonly segments: readonly ChainSegment[];
  /** Set on a summary: the nodes that it replaces. They stay stored. */
  readonly replaces: NodeRange | null;
};

/** Tells whether a node is a reply of the model. Each turn has exactly one. */
export function isReply({ segments }: ChainNode): boolean {
  const kind = segments[0]?.part.kind;
  return kind === 'assistant-text' || kind === 'reasoning' || kind === 'tool-call';
}

/** Gives the turn of each node of a transcript: what a reply answers belongs to its turn, a summary to the last turn that it stands for. */
export function turnsOf(nodes: readonly ChainNode[]): readonly number[] {
  let turn = 1;
  return nodes.map((node) => {
    const summary = summaryOf(node);
    if (summary !== null) {
      turn = summary.turns.to + 1;
      return summary.turns.to;
    }
    const own = turn;
    if (isReply(node)) turn += 1;
    return own;
  });
}

/** Finds the summary in a node that replaces others. */
export function summaryOf({ replaces, segments }: ChainNode): (MessagePart & { readonly kind: 'summary' }) | null {
  const part = replaces === null ? undefined : segments[0]?.part;
  return part?.kind === 'summary' ? part : null;
}

/** Counts the bytes of nodes. */
export function bytesOf(nodes: readonly ChainNode[]): number {
  return nodes.reduce((sum, node) => sum + node.segments.reduce((own, { bytes }) => own + bytes, 0), 0);
}
