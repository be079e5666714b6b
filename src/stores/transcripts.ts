import { sql } from 'kysely';
import { canonicalJson } from '../domain/json.ts';
import type { MessagePart } from '../domain/model/message-part.ts';
import { LruCache } from './lru-cache.ts';
import type { Scopes } from './scopes.ts';
import type { Db } from './database.ts';

/** Nodes read at once when a chain is not in the cache: a few hundred kilobytes of small rows. */
const NODES_PER_READ = 256;

/** Bytes of transcript a process keeps: some hundred runs of ordinary length, or a few very long ones. */
export const DEFAULT_CACHE_BYTES = 128 * 1024 * 1024;

/** A segment: a message part and the size of its bytes. */
type Segment = { readonly part: MessagePart; readonly bytes: number };

type Node = { readonly previous: string | null; readonly segments: readonly string[]; readonly contentBytes: number; readonly depth: number };

export type Transcripts = ReturnType<typeof createTranscripts>;

/**
 * Keeps transcripts: segments stored once under the HMAC of their bytes, and nodes that link them. Storing what is there is a
 * no-op, so retries and forks share storage.
 *
 * The cache makes a turn's reads independent of the transcript's length: a chain that this process has written or read before costs no
 * query.
 */
export function createTranscripts(db: Db, scopes: Scopes, cacheBytes: number = DEFAULT_CACHE_BYTES) {
  const segments = new LruCache<Segment>(cacheBytes);
  const nodes = new LruCache<Node>(cacheBytes);

  async function writePart(tenant: string, scope: string, part: MessagePart): Promise<string> {
    const bytes = Buffer.from(canonicalJson(part), 'utf8');
    const address = (await scopes.keysOf(tenant, scope)).address(bytes);
    const key = `${tenant} ${scope} ${address}`;
    if (segments.get(key) !== undefined) return address;
    await db
      .insertInto('segments')
      .values({ tenant, scope, address, bytes, alg: 'none', kid: null })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    segments.set(key, { part, bytes: bytes.length }, bytes.length);
    return address;
  }

  async function readSegments(tenant: string, scope: string, addresses: readonly string[]): Promise<readonly Segment[]> {
    const found = new Map<string, Segment>();
    const missing = new Set<string>();
    for (const address of addresses) {
      const cached = segments.get(`${tenant} ${scope} ${address}`);
      if (cached === undefined) missing.add(address);
      else found.set(address, cached);
    }
    if (missing.size > 0) {
      const rows = await db
        .selectFrom('segments')
        .select(['address', 'bytes'])
        .where('tenant', '=', tenant)
        .where('scope', '=', scope)
        .where('address', '=', sql<string>`any(${[...missing]})`)
        .execute();
      for (const row of rows) {
        const segment = { part: JSON.parse(row.bytes.toString('utf8')) as MessagePart, bytes: row.bytes.length };
        segments.set(`${tenant} ${scope} ${row.address}`, segment, segment.bytes);
        found.set(row.address, segment);
      }
    }
    return addresses.map((address) => {
      const segment = found.get(address);
      if (segment === undefined) throw new Error(`segment ${address} is not stored; it may have been erased`);
      return segment;
    });
  }

  async function readNode(tenant: string, scope: string, address: string): Promise<Node> {
    const cached = nodes.get(`${tenant} ${scope} ${address}`);
    if (cached !== undefined) return cached;
    const rows = await sql<{ address: string; previous: string | null; segments: string[]; content_bytes: string; depth: number }>`
      with recursive chain as (
        select address, previous, segments, content_bytes, depth, 1 as seen from perdure.nodes
          where tenant = ${tenant} and scope = ${scope} and address = ${address}
        union all
        select n.address, n.previous, n.segments, n.content_bytes, n.depth, chain.seen + 1
          from chain join perdure.nodes n on n.tenant = ${tenant} and n.scope = ${scope} and n.address = chain.previous
          where chain.seen < ${NODES_PER_READ})
      select address, previous, segments, content_bytes, depth from chain`.execute(db);
    for (const row of rows.rows) {
      const node = { previous: row.previous, segments: row.segments, contentBytes: Number(row.content_bytes), depth: row.depth };
      nodes.set(`${tenant} ${scope} ${row.address}`, node, nodeWeight(node));
    }
    const node = nodes.get(`${tenant} ${scope} ${address}`);
    if (node === undefined) throw new Error(`transcript node ${address} is not stored; it may have been erased`);
    return node;
  }

  /** Appends segments to a transcript and gives its new head. `contentBytes` of a node counts the whole chain. */
  async function append(tenant: string, scope: string, previous: string | null, added: readonly string[]): Promise<string> {
    const before = previous === null ? null : await readNode(tenant, scope, previous);
    const stored = await readSegments(tenant, scope, added);
    const node: Node = {
      previous,
      segments: added,
      contentBytes: stored.reduce((sum, segment) => sum + segment.bytes, before?.contentBytes ?? 0),
      depth: (before?.depth ?? 0) + 1,
    };
    const address = (await scopes.keysOf(tenant, scope)).address(canonicalJson({ previous, segments: added }));
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
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    nodes.set(`${tenant} ${scope} ${address}`, node, nodeWeight(node));
    return address;
  }

  /** Reads the parts of a transcript, oldest first. */
  async function read(tenant: string, scope: string, head: string | null): Promise<readonly MessagePart[]> {
    const chain: Node[] = [];
    for (let address = head; address !== null; ) {
      const node = await readNode(tenant, scope, address);
      chain.push(node);
      address = node.previous;
    }
    const addresses = chain.toReversed().flatMap((node) => node.segments);
    return (await readSegments(tenant, scope, addresses)).map((segment) => segment.part);
  }

  return {
    writePart,
    append,
    read,
    /** Reads one part. */
    async readPart(tenant: string, scope: string, address: string): Promise<MessagePart> {
      const [segment] = await readSegments(tenant, scope, [address]);
      if (segment === undefined) throw new Error(`segment ${address} is not stored`);
      return segment.part;
    },
    /** Counts the bytes and nodes of a whole transcript, from its head alone. */
    async sizeOf(tenant: string, scope: string, head: string | null): Promise<{ bytes: number; nodes: number }> {
      if (head === null) return { bytes: 0, nodes: 0 };
      const { contentBytes, depth } = await readNode(tenant, scope, head);
      return { bytes: contentBytes, nodes: depth };
    },
  };
}

/** A node's weight in the cache: its addresses and the object around them. */
function nodeWeight(node: Node): number {
  return 200 + node.segments.length * 80;
}
