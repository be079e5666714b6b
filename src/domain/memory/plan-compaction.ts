import { bytesOf, type ChainNode, isReply, summaryOf, turnsOf } from './chain.ts';

/** Where a transcript is cut: nodes from `first` up to `cut` are replaced, those from `cut` on are kept. */
export type Cut = {
  readonly first: number;
  readonly cut: number;
  /** Last turn whose reply is replaced. */
  readonly through: number;
};

/**
 * Plans which turns a summary replaces: the oldest, as few as leave at most `keepBytes`. The newest reply is always kept, and so is what the
 * user said first, unless that alone is large.
 *
 * @returns null when nothing can be replaced, or too little to be worth a summary.
 */
export function planCompaction(
  nodes: readonly ChainNode[],
  room: { readonly keepBytes: number; readonly firstBytesMax: number; readonly replacedBytesMin: number },
): Cut | null {
  const cuts = cutsOf(nodes, room.firstBytesMax);
  const keptBytes = ({ first, cut }: Cut): number => bytesOf(nodes.slice(0, first)) + bytesOf(nodes.slice(cut));
  const planned = cuts.find((cut) => keptBytes(cut) <= room.keepBytes) ?? cuts.at(-1);
  if (planned === undefined) return null;
  const replaced = bytesOf(nodes.slice(planned.first, planned.cut));
  return replaced >= room.replacedBytesMin ? planned : null;
}

/** Finds the cut after a turn that was planned before. Null when the transcript has no such place. */
export function findCut(nodes: readonly ChainNode[], through: number, firstBytesMax: number): Cut | null {
  return cutsOf(nodes, firstBytesMax).find((cut) => cut.through === through) ?? null;
}

/** Lists every place where a transcript may be cut, oldest first: after a turn, with the results of its calls. */
function cutsOf(nodes: readonly ChainNode[], firstBytesMax: number): readonly Cut[] {
  const first = isFirstKept(nodes[0], firstBytesMax) ? 1 : 0;
  const turns = turnsOf(nodes);
  const openAfter = openCalls(nodes);
  return nodes.flatMap((node, index) => {
    if (!isReply(node) || index < first) return [];
    // The results of a reply's calls stand in the node after it.
    const cut = openAfter[index] === 0 ? index + 1 : index + 2;
    const isWhole = cut < nodes.length && openAfter[cut - 1] === 0;
    return isWhole ? [{ first, cut, through: turns[index] ?? 0 }] : [];
  });
}

/** What the user said first is what the run is about. */
function isFirstKept(node: ChainNode | undefined, bytesMax: number): boolean {
  if (node === undefined || summaryOf(node) !== null || bytesOf([node]) > bytesMax) return false;
  return node.segments.some(({ part }) => part.kind === 'user-text');
}

/** Counts, after each node, the calls that have no result yet. */
function openCalls(nodes: readonly ChainNode[]): readonly number[] {
  const open = new Set<string>();
  return nodes.map(({ segments }) => {
    for (const { part } of segments) {
      if (part.kind === 'tool-call') open.add(part.toolCallId);
      if (part.kind === 'tool-result') open.delete(part.toolCallId);
    }
    return open.size;
  });
}
