// Goal: a transcript is stored once, found by its head, unreadable across tenants, and costs one process a bounded cache.
// Method: the real repositories on PostgreSQL, several with caches of their own over the same rows.
import assert from 'node:assert/strict';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';
import { LruCache } from '../../../src/stores/lru-cache.ts';
import { openTestStores, randomId, type TestStores } from './support.ts';

const say = (text: string): MessagePart => ({ kind: 'user-text', text });
const words = (parts: readonly MessagePart[]): readonly string[] =>
  parts.map((part) => ('text' in part ? part.text : ''));

describe('transcripts', () => {
  let stores: TestStores;
  let other: TestStores;
  before(async () => {
    stores = await openTestStores();
    other = await openTestStores();
  });
  after(async () => {
    await stores.close();
    await other.close();
  });

  const countSegments = async (scope: string) => {
    const rows = stores.db.selectFrom('segments').select('address').where('scope', '=', scope);
    return (await rows.execute()).length;
  };

  it('stores equal parts once, whoever stores them and however often', async () => {
    const { tenant } = stores;
    const scope = randomId('scope');
    const writers = [stores, stores, other, other, stores];
    const addresses = await Promise.all(
      writers.map(async ({ transcripts }) => transcripts.writePart(tenant, scope, say('Hi.'))),
    );
    assert.equal(new Set(addresses).size, 1);
    assert.match(addresses[0] ?? '', /^[\w-]{22}$/);
    assert.equal(await countSegments(scope), 1);
    const heads = await Promise.all(
      writers.map(async ({ transcripts }) => transcripts.append(tenant, scope, null, addresses.slice(0, 1))),
    );
    assert.equal(new Set(heads).size, 1);
  });

  it('gives equal bytes of two tenants, and of two subjects, different addresses', async () => {
    const places = [
      [stores.tenant, 'one'],
      [stores.tenant, 'two'],
      [other.tenant, 'one'],
    ] as const;
    const addresses = await Promise.all(
      places.map(async ([tenant, scope]) => stores.transcripts.writePart(tenant, scope, say('The same.'))),
    );
    assert.equal(new Set(addresses).size, 3);
    const [first = ''] = addresses;
    await assert.rejects(other.transcripts.readPart(other.tenant, 'one', first), /is not stored/);
  });

  it('reads a chain in order, from its head alone, in a process that has not seen it', async () => {
    const { tenant } = stores;
    const scope = randomId('scope');
    let head: string | null = null;
    // More nodes than one query reads.
    for (let node = 0; node < 300; node += 1) {
      head = await stores.transcripts.append(tenant, scope, head, [
        await stores.transcripts.writePart(tenant, scope, say(`line ${node}`)),
      ]);
    }
    const fresh = await openTestStores();
    const parts = await fresh.transcripts.read(tenant, scope, head);
    assert.deepEqual(
      parts,
      Array.from({ length: 300 }, (_, node) => say(`line ${node}`)),
    );
    const size = await fresh.transcripts.sizeOf(tenant, scope, head);
    assert.equal(size.nodes, 300);
    assert.equal(
      size.bytes,
      parts.reduce((sum, part) => sum + Buffer.byteLength(JSON.stringify(part)), 0),
    );
    await fresh.close();
  });

  it('reads what its cache has forgotten', async () => {
    const small = await openTestStores({ transcriptCacheBytes: 2_000 });
    const scope = randomId('scope');
    let head: string | null = null;
    for (let node = 0; node < 20; node += 1) {
      const text = `${node} `.padEnd(500, '.');
      head = await small.transcripts.append(small.tenant, scope, head, [
        await small.transcripts.writePart(small.tenant, scope, say(text)),
      ]);
    }
    const parts = await small.transcripts.read(small.tenant, scope, head);
    assert.deepEqual(
      parts.map((part) => Number.parseInt('text' in part ? part.text : '', 10)),
      Array.from({ length: 20 }, (_, node) => node),
    );
    await small.close();
  });

  it('reaches what a summary of a summary stands for, in a process that has not seen it', async () => {
    const { tenant } = stores;
    const scope = randomId('scope');
    const { transcripts } = stores;
    const write = async (part: MessagePart): Promise<string> => transcripts.writePart(tenant, scope, part);
    const grow = async (from: string | null, texts: readonly string[]): Promise<readonly string[]> => {
      const heads: string[] = [];
      for (const text of texts) {
        heads.push(await transcripts.append(tenant, scope, heads.at(-1) ?? from, [await write(say(text))]));
      }
      return heads;
    };
    /** Puts a summary in the place of all but the first node and the newest; the newest is appended again. */
    const replace = async (heads: readonly string[], newest: string, to: number): Promise<readonly string[]> => {
      const summary = await write({ kind: 'summary', text: `until ${to}`, turns: { from: 1, to } });
      const range = { from: heads[1] ?? '', to: heads.at(-2) ?? '' };
      const node = await transcripts.appendSummary(tenant, scope, heads[0] ?? '', summary, range);
      return [heads[0] ?? '', node, ...(await grow(node, [newest]))];
    };
    const first = await grow(null, ['a', 'b', 'c', 'd']);
    const once = await replace(first, 'd', 3);
    const more = [...once, ...(await grow(once.at(-1) ?? null, ['e', 'f']))];
    const head = (await replace(more, 'f', 5)).at(-1) ?? null;
    const again = (await replace(more, 'f', 5)).at(-1) ?? null;
    assert.equal(again, head, 'doing it twice changes nothing');
    const fresh = await openTestStores();
    assert.deepEqual(words(await fresh.transcripts.read(tenant, scope, head)), ['a', 'until 5', 'f']);
    assert.deepEqual(words(await fresh.transcripts.readWhole(tenant, scope, head)), ['a', 'b', 'c', 'd', 'e', 'f']);
    assert.deepEqual(words(await fresh.transcripts.readWhole(tenant, scope, first.at(-1) ?? null)), [
      'a',
      'b',
      'c',
      'd',
    ]);
    assert.equal((await fresh.transcripts.sizeOf(tenant, scope, head)).nodes, 3);
    const indexes = await fresh.archive.indexesOf(
      tenant,
      scope,
      await fresh.transcripts.readNodes(tenant, scope, head),
    );
    assert.deepEqual(
      indexes.map(({ passages }) => passages.map(({ text }) => text)),
      [
        ['d', 'e'],
        ['b', 'c'],
      ],
    );
    await fresh.close();
  });

  it('says what is missing', async () => {
    await assert.rejects(stores.transcripts.readPart(stores.tenant, 'one', 'nothing'), /segment nothing is not stored/);
    await assert.rejects(stores.transcripts.read(stores.tenant, 'one', 'nothing'), /node nothing is not stored/);
  });
});

describe('the cache', () => {
  it('keeps its weight within the bound and forgets what was not used for the longest time', () => {
    const cache = new LruCache<number>(30);
    for (let key = 0; key < 100; key += 1) {
      cache.set(`k${key}`, key, 10);
      cache.get('k0');
    }
    const kept = Array.from({ length: 100 }, (_, key) => key).filter((key) => cache.get(`k${key}`) !== undefined);
    assert.deepEqual(kept, [0, 98, 99]);
  });

  it('counts a key that is set again once', () => {
    const cache = new LruCache<number>(30);
    for (let time = 0; time < 10; time += 1) cache.set('same', time, 20);
    cache.set('other', 1, 10);
    assert.deepEqual([cache.get('same'), cache.get('other')], [9, 1]);
  });
});
