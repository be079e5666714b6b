import { utf8Bytes } from '../domain/json.ts';
import { type ChainNode, type NodeRange, summaryOf } from '../domain/memory/chain.ts';
import { passagesOf } from '../domain/memory/passages.ts';
import { indexPassages, type PassageIndex } from '../domain/memory/recall.ts';
import { utterancesOf } from '../domain/memory/utterances.ts';
import { LruCache } from './lru-cache.ts';
import type { Transcripts } from './transcripts.ts';

/** Bytes of indexes that a process keeps at hand: some 8 MiB of replaced text, as an index takes up to 15 times the bytes of its text. */
const INDEX_CACHE_BYTES = 128 * 1024 * 1024;
const INDEX_BYTES_PER_TEXT_BYTE = 15;

/** Bytes of a run's replaced text that are searched, the newest: a million tokens. Half of the cache at most, so that one run fits into it. */
const SEARCHED_BYTES_MAX = 4 * 1024 * 1024;

/** What one summary replaced beside earlier summaries: its words, its size, and the summary before it. */
type Stretch = {
  readonly index: PassageIndex;
  readonly bytes: number;
  readonly before: NodeRange | null;
};

/**
 * Finds what summaries replaced. The words of each stretch are counted once per process and kept: a search then reads nothing, and a process that
 * comes new to a run reads its transcript once. The index lives in memory only, so that texts rest in one place.
 */
export function createArchive(transcripts: Transcripts) {
  const cache = new LruCache<Stretch>(INDEX_CACHE_BYTES);
  return {
    /** Gives the indexes of everything that the summaries of a transcript stand for, the newest first. */
    async indexesOf(tenant: string, scope: string, nodes: readonly ChainNode[]): Promise<readonly PassageIndex[]> {
      const indexes: PassageIndex[] = [];
      let range = nodes.find((node) => summaryOf(node) !== null)?.replaces ?? null;
      for (let bytes = 0; range !== null && bytes < SEARCHED_BYTES_MAX;) {
        const key = `${tenant} ${scope} ${range.from} ${range.to}`;
        const stretch: Stretch = cache.get(key) ?? (await readStretch(transcripts, tenant, scope, range));
        cache.set(key, stretch, stretch.bytes * INDEX_BYTES_PER_TEXT_BYTE);
        indexes.push(stretch.index);
        bytes += stretch.bytes;
        range = stretch.before;
      }
      return indexes;
    },
  };
}

async function readStretch(
  transcripts: Transcripts,
  tenant: string,
  scope: string,
  range: NodeRange,
): Promise<Stretch> {
  const nodes = await transcripts.readReplaced(tenant, scope, range);
  const passages = passagesOf(utterancesOf(nodes));
  return {
    index: indexPassages(passages),
    bytes: passages.reduce((sum, { text }) => sum + utf8Bytes(text), 0),
    before: nodes.find((node) => summaryOf(node) !== null)?.replaces ?? null,
  };
}
