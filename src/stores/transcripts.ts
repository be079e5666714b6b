import { sql } from 'kysely';
import { canonicalJson } from '../domain/json.ts';
import type { ChainNode, NodeRange } from '../domain/memory/chain.ts';
import type { MessagePart } from '../domain/model/message-part.ts';
import type { Db } from './database.ts';
import { LruCache } from './lru-cache.ts';
import type { Scopes } from './scopes.ts';

/** Nodes read at once when a chain is not in the cache: a few hundred kilobytes of small rows. */
const NODES_PER_READ = 256;

/** Bytes of transcript a process keeps: some hundred runs of ordinary length, or a few very long ones. */
export const DEFAULT_CACHE_BYTES = 128 * 1024 * 1024;

/** A segment: a message part, the size of its bytes, and how many of them are words. */
type Segment = { readonly part: MessagePart; readonly bytes: number; readonly wordBytes: number };

type Node = {
  readonly previous: string | null;
  readonly segments: readonly string[];
  /** Bytes and nodes of the whole chain up to here. */
  readonly contentBytes: number;
  readonly depth: number;
  /** Set on a summary: the nodes that it stands for. */
  readonly replaces: NodeRange | null;
};

type NodeRow = {
  readonly address: string;
  readonly previous: string | null;
  readonly segments: string[];
  readonly content_bytes: string;
  readonly depth: number;
  readonly replaces_from: string | null;
  readonly replaces_to: string | null;
};

type Library = {
  readonly db: Db;
  readonly scopes: Scopes;
  readonly segments: LruCache<Segment>;
  readonly nodes: LruCache<Node>;
};

/** Where a transcript lives: its tenant, and the scope of the subject. */
type Place = { readonly tenant: string; readonly scope: string };

export type Transcripts = ReturnType<typeof createTranscripts>;

/**
 * Keeps transcripts: segments stored once under the HMAC of their bytes, and nodes that link them. Storing what is there is a
 * no-op, so retries and forks share storage.
 *
 * The cache makes a turn's reads independent of the transcript's length: a chain that this process has written or read before costs no
 * query.
 */
export function createTranscripts(db: Db, scopes: Scopes, cacheBytes: number = DEFAULT_CACHE_BYTES) {
  const library: Library = { db, scopes, segments: new LruCache(cacheBytes), nodes: new LruCache(cacheBytes) };
  return {
    writePart: (tenant: string, scope: string, part: MessagePart) => writePart(library, { tenant, scope }, part),
    append: (tenant: string, scope: string, previous: string | null, added: readonly string[]) =>
      append(library, { tenant, scope }, previous, added),
    /** Appends a summary: a node that says which nodes it stands for. They stay stored. */
    appendSummary: (tenant: string, scope: string, previous: string | null, summary: string, replaces: NodeRange) =>
      append(library, { tenant, scope }, previous, [summary], replaces),
    read: (tenant: string, scope: string, head: string | null) => read(library, { tenant, scope }, head),
    /** Reads the nodes of a transcript, oldest first. */
    readNodes: (tenant: string, scope: string, head: string | null) =>
      readNodes(library, { tenant, scope }, head, null),
    /** Reads the nodes that a summary stands for, oldest first; the first of them may be a summary again. */
    readReplaced: (tenant: string, scope: string, { from, to }: NodeRange) =>
      readNodes(library, { tenant, scope }, to, from),
    /** Reads the parts of a transcript, oldest first, with what was replaced in the place of each summary. */
    readWhole: (tenant: string, scope: string, head: string | null) => readWhole(library, { tenant, scope }, head),
    /** Reads one part. */
    readPart: async (tenant: string, scope: string, address: string): Promise<MessagePart> =>
      (await readSegment(library, { tenant, scope }, address)).part,
    /** Gives what a reply was made from: the head before its delta, and the delta itself, of which it heard so many references. */
    promptOf: (tenant: string, scope: string, reply: string, heard: number) =>
      promptOf(library, { tenant, scope }, reply, heard),
    /** Reads one part, or null where it is not stored. */
    findPart: async (tenant: string, scope: string, address: string): Promise<MessagePart | null> =>
      (await isStored(db, { tenant, scope }, address))
        ? (await readSegment(library, { tenant, scope }, address)).part
        : null,
    /** Counts the bytes and nodes of a whole transcript, from its head alone. */
    sizeOf: async (tenant: string, scope: string, head: string | null): Promise<{ bytes: number; nodes: number }> => {
      if (head === null) return { bytes: 0, nodes: 0 };
      const { contentBytes, depth } = await readNode(library, { tenant, scope }, head);
      return { bytes: contentBytes, nodes: depth };
    },
  };
}

/** Stores a part and gives its address: 16 bytes of HMAC-SHA256 under the scope's key. */
async function writePart({ db, scopes, segments }: Library, place: Place, part: MessagePart): Promise<string> {
  const { tenant, scope } = place;
  const bytes = Buffer.from(canonicalJson(part), 'utf8');
  const address = (await scopes.keysOf(tenant, scope)).address(bytes);
  const key = cacheKey(place, address);
  if (segments.get(key) !== undefined) return address;
  await db
    .insertInto('segments')
    .values({ tenant, scope, address, bytes, alg: 'none', kid: null })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  // Read back from its bytes, so that every process has the members of a part in the same order, whether it wrote the part or read it.
  segments.set(key, segmentOf(JSON.parse(bytes.toString('utf8')) as MessagePart, bytes), bytes.length);
  return address;
}

/** What a file holds is not counted by its bytes: tokens of images and pages have bounds of their own. */
function segmentOf(part: MessagePart, bytes: Buffer): Segment {
  const wordBytes = part.kind === 'file' ? bytes.length - part.data.length : bytes.length;
  return { part, bytes: bytes.length, wordBytes };
}

/** Appends segments to a transcript and gives its new head. */
async function append(
  library: Library,
  place: Place,
  previous: string | null,
  added: readonly string[],
  replaces: NodeRange | null = null,
): Promise<string> {
  const { db, scopes, nodes } = library;
  const { tenant, scope } = place;
  const before = previous === null ? null : await readNode(library, place, previous);
  const stored = await readSegments(library, place, added);
  const node: Node = {
    previous,
    segments: added,
    contentBytes: stored.reduce((sum, segment) => sum + segment.wordBytes, before?.contentBytes ?? 0),
    depth: (before?.depth ?? 0) + 1,
    replaces,
  };
  const content = { previous, segments: added, ...(replaces === null ? {} : { replaces }) };
  const address = (await scopes.keysOf(tenant, scope)).address(canonicalJson(content));
  await db
    .insertInto('nodes')
    .values({
      tenant,
      scope,
      address,
      previous,
      segments: [...added],
      depth: node.depth,
      content_bytes: node.contentBytes,
      replaces_from: replaces?.from ?? null,
      replaces_to: replaces?.to ?? null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  nodes.set(cacheKey(place, address), node, weightOf(node));
  return address;
}

/** Reads the parts of a transcript, oldest first. */
async function read(library: Library, place: Place, head: string | null): Promise<readonly MessagePart[]> {
  return partsOf(await readNodes(library, place, head, null));
}

/** Reads from a head back to a node, or to the transcript's beginning. */
async function readNodes(
  library: Library,
  place: Place,
  head: string | null,
  from: string | null,
): Promise<readonly ChainNode[]> {
  const chain: (Node & { readonly address: string })[] = [];
  for (let address = head; address !== null;) {
    const node = await readNode(library, place, address);
    chain.push({ ...node, address });
    address = address === from ? null : node.previous;
  }
  chain.reverse();
  const addresses = chain.flatMap((node) => node.segments);
  const segments = await readSegments(library, place, addresses);
  let position = 0;
  return chain.map(({ address, replaces, segments: own }) => {
    const start = position;
    position += own.length;
    const found = segments.slice(start, position).map(({ part, wordBytes }, at) => ({
      ref: own[at] ?? '',
      part,
      bytes: wordBytes,
    }));
    return { address, replaces, segments: found };
  });
}

async function readWhole(library: Library, place: Place, head: string | null): Promise<readonly MessagePart[]> {
  const parts: (readonly MessagePart[])[] = [];
  // From the newest stretch back: summaries of summaries may lie deeper than functions nest.
  const open: { readonly head: string | null; readonly from: string | null }[] = [{ head, from: null }];
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const nodes = await readNodes(library, place, range.head, range.from);
    const at = nodes.findLastIndex(({ replaces }) => replaces !== null);
    const { address, replaces = null } = nodes[at] ?? {};
    parts.push(partsOf(nodes.slice(at + 1)));
    if (address === undefined || replaces === null) continue;
    const { previous } = await readNode(library, place, address);
    if (previous !== null && address !== range.from) open.push({ head: previous, from: range.from });
    open.push({ head: replaces.to, from: replaces.from });
  }
  return parts.toReversed().flat();
}

function partsOf(nodes: readonly ChainNode[]): readonly MessagePart[] {
  return nodes.flatMap(({ segments }) => segments.map(({ part }) => part));
}

async function promptOf(
  library: Library,
  place: Place,
  reply: string,
  heard: number,
): Promise<{ readonly head: string | null; readonly delta: readonly string[] }> {
  const { previous } = await readNode(library, place, reply);
  // A reply without a delta follows the node before it at once.
  if (heard === 0 || previous === null) return { head: previous, delta: [] };
  const prompt = await readNode(library, place, previous);
  return { head: prompt.previous, delta: prompt.segments };
}

async function readSegments(library: Library, place: Place, addresses: readonly string[]): Promise<readonly Segment[]> {
  const { db, segments } = library;
  const found = new Map<string, Segment>();
  const missing = new Set<string>();
  for (const address of addresses) {
    const cached = segments.get(cacheKey(place, address));
    if (cached === undefined) missing.add(address);
    else found.set(address, cached);
  }
  if (missing.size > 0) {
    const rows = await db
      .selectFrom('segments')
      .select(['address', 'bytes'])
      .where('tenant', '=', place.tenant)
      .where('scope', '=', place.scope)
      .where('address', '=', sql<string>`any(${[...missing]})`)
      .execute();
    for (const row of rows) {
      const segment = segmentOf(JSON.parse(row.bytes.toString('utf8')) as MessagePart, row.bytes);
      segments.set(cacheKey(place, row.address), segment, segment.bytes);
      found.set(row.address, segment);
    }
  }
  return addresses.map((address) => {
    const segment = found.get(address);
    if (segment === undefined) throw new Error(`segment ${address} is not stored; it may have been erased`);
    return segment;
  });
}

async function readSegment(library: Library, place: Place, address: string): Promise<Segment> {
  const [segment] = await readSegments(library, place, [address]);
  if (segment === undefined) throw new Error(`segment ${address} is not stored; it may have been erased`);
  return segment;
}

async function isStored(db: Db, { tenant, scope }: Place, address: string): Promise<boolean> {
  const row = await db
    .selectFrom('segments')
    .select('address')
    .where('tenant', '=', tenant)
    .where('scope', '=', scope)
    .where('address', '=', address)
    .executeTakeFirst();
  return row !== undefined;
}

async function readNode({ db, nodes }: Library, place: Place, address: string): Promise<Node> {
  const key = cacheKey(place, address);
  const cached = nodes.get(key);
  if (cached !== undefined) return cached;
  const { rows } = await sql<NodeRow>`
    with recursive chain as (
      select address, previous, segments, content_bytes, depth, replaces_from, replaces_to, 1 as seen from perdure.nodes
        where tenant = ${place.tenant} and scope = ${place.scope} and address = ${address}
      union all
      select n.address, n.previous, n.segments, n.content_bytes, n.depth, n.replaces_from, n.replaces_to, chain.seen + 1
        from chain join perdure.nodes n
          on n.tenant = ${place.tenant} and n.scope = ${place.scope} and n.address = chain.previous
        where chain.seen < ${NODES_PER_READ})
    select address, previous, segments, content_bytes, depth, replaces_from, replaces_to from chain`.execute(db);
  let asked: Node | undefined;
  for (const { previous, segments, depth, content_bytes, replaces_from: from, replaces_to: to, address: at } of rows) {
    const replaces = from === null || to === null ? null : { from, to };
    const node = { previous, segments, depth, contentBytes: Number(content_bytes), replaces };
    nodes.set(cacheKey(place, at), node, weightOf(node));
    if (at === address) asked = node;
  }
  if (asked === undefined) throw new Error(`transcript node ${address} is not stored; it may have been erased`);
  return asked;
}

function cacheKey({ tenant, scope }: Place, address: string): string {
  return `${tenant} ${scope} ${address}`;
}

/** A node's weight in the cache: its addresses and the object around them. */
function weightOf(node: Node): number {
  return 200 + node.segments.length * 80;
}
