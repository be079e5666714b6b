// Goal: what models say reaches readers whole and in order, whatever becomes of readers, writers and the database, and no call waits for it.
// Method: writers, readers and listeners on the real PostgreSQL; a proxy in between cuts and holds connections.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { hear } from '../../../src/domain/stream/hear.ts';
import { STREAM_START, type StreamPosition, type StreamProgress } from '../../../src/domain/stream/stream.ts';
import { numberAttempts, writeChunks } from '../../../src/stores/stream-chunks.ts';
import { openStreamDatabase } from '../../../src/stores/stream-database.ts';
import { createStreamListener, type StreamListener } from '../../../src/stores/stream-listener.ts';
import { dropStreamPartitions, ensureStreamPartitions } from '../../../src/stores/stream-partitions.ts';
import { createStreamReader } from '../../../src/stores/stream-reader.ts';
import { createStreamWriter, type StreamWriter } from '../../../src/stores/stream-writer.ts';
import { until } from '../../support/crash/until.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts';
import { startTestServers } from '../../support/servers.ts';
import { openTestStores, randomId, type TestStores } from './support.ts';

const HOUR_MS = 60 * 60 * 1000;

describe('streams', () => {
  let stores: TestStores;
  let url: string;
  let proxy: DatabaseProxy;
  let listener: StreamListener;
  const writers: StreamWriter[] = [];

  before(async () => {
    stores = await openTestStores();
    url = (await startTestServers()).postgres.url;
    proxy = await startDatabaseProxy(url);
    listener = createStreamListener(proxy.url);
  });

  after(async () => {
    proxy?.release();
    await Promise.all(writers.map((writer) => writer.close()));
    await listener?.close();
    await proxy?.close();
    await stores?.close();
  });

  /** A writer as a worker process has it. */
  const openWriter = (place = url): { writer: StreamWriter; troubles: unknown[] } => {
    const troubles: unknown[] = [];
    const writer = createStreamWriter(
      openStreamDatabase(place, () => undefined),
      (error) => troubles.push(error),
    );
    writers.push(writer);
    return { writer, troubles };
  };
  const readerOf = (ears: StreamListener | null = null) => createStreamReader(stores.db, stores.transcripts, ears);
  const chunksOf = async (runId: string, after: StreamPosition = STREAM_START) =>
    (await readerOf().look(stores.tenant, runId, after, 'chunks')).chunks;
  const toldOf = async (runId: string, after: StreamPosition = STREAM_START) =>
    hear(after, await readerOf().look(stores.tenant, runId, after, 'all'));

  it('gives a late reader what was said, and one that goes on from any sequence the rest of it', async () => {
    const { writer } = openWriter();
    const runId = randomId('run');
    const say = writer.open(stores.tenant, runId, 1);
    for (const word of ['Once ', 'upon ', 'a ', 'time ', '🕰', '.']) {
      say({ kind: 'text', text: word });
      await until(`${word} is written`, async () => {
        const said = await chunksOf(runId);
        return said.at(-1)?.delta.text.endsWith(word) === true;
      });
    }
    const whole = await toldOf(runId);
    assert.equal(textOf(whole.told), 'Once upon a time 🕰.');
    assert.ok(whole.told.length > 1, 'it was said in several pieces');
    for (const [index, { position }] of whole.told.entries()) {
      const rest = await toldOf(runId, position);
      assert.deepEqual(rest.told, whole.told.slice(index + 1));
    }
  });

  it('keeps reasoning apart from text, and one tenant from another', async () => {
    const { writer } = openWriter();
    const runId = randomId('run');
    const say = writer.open(stores.tenant, runId, 3);
    say({ kind: 'reasoning', text: 'hm' });
    say({ kind: 'text', text: 'Yes' });
    say({ kind: 'text', text: '.' });
    await until('all is written', async () => (await chunksOf(runId)).length === 2);
    const { told } = await toldOf(runId);
    assert.deepEqual(
      told.map((each) => each.kind === 'delta' && [each.of, each.text]),
      [
        ['reasoning', 'hm'],
        ['text', 'Yes.'],
      ],
    );
    assert.deepEqual((await readerOf().look('another', runId, STREAM_START, 'chunks')).chunks, []);
  });

  it('writes what many streams say in one statement', async () => {
    const { writer } = openWriter();
    const runIds = Array.from({ length: 200 }, () => randomId('run'));
    const says = runIds.map((runId) => writer.open(stores.tenant, runId, 1));
    for (const say of says) say({ kind: 'text', text: 'a' });
    const countOf = async (): Promise<{ rows: number; statements: number }> => {
      const { rows } = await sql<{ rows: string; statements: string }>`
        select count(*) as rows, count(distinct xmin::text) as statements from perdure.stream_chunks
         where run_id = any(${runIds})`.execute(stores.db);
      return { rows: Number(rows[0]?.rows), statements: Number(rows[0]?.statements) };
    };
    await until('all is written', async () => (await countOf()).rows === 200);
    assert.ok((await countOf()).statements <= 3, JSON.stringify(await countOf()));
  });

  it('never mixes two attempts that are alive at once: the later one is told', async () => {
    const [first, second] = [openWriter().writer, openWriter().writer];
    const runId = randomId('run');
    const sayFirst = first.open(stores.tenant, runId, 1);
    sayFirst({ kind: 'text', text: 'old ' });
    await until('the first is written', async () => (await chunksOf(runId)).length === 1);
    let heard = await toldOf(runId);
    const told = [...heard.told];
    const saySecond = second.open(stores.tenant, runId, 1);
    for (let word = 0; word < 20; word += 1) {
      sayFirst({ kind: 'text', text: 'old ' });
      saySecond({ kind: 'text', text: 'new ' });
      await sleep(10);
      heard = await toldOf(runId, heard.position);
      told.push(...heard.told);
    }
    await until('all is written', async () => {
      heard = await toldOf(runId, heard.position);
      told.push(...heard.told);
      return textOf(told).split('new ').length === 21;
    });
    assert.match(textOf(told), /^(?:old )+<reset>(?:new ){20}$/);
    assert.match(textOf((await toldOf(runId)).told), /^(?:new ){20}$/);
  });

  it('wakes readers when something was said, all on one connection', async () => {
    const { writer } = openWriter();
    const runIds = Array.from({ length: 20 }, () => randomId('run'));
    const ears = runIds.map((runId) => listener.listen(runId));
    await until('it listens', async () => (await listening()) === 1);
    await Promise.all(ears.map((ear) => ear.next(1)));
    const heard = Promise.all(ears.map((ear) => ear.next(20_000)));
    for (const runId of runIds) writer.open(stores.tenant, runId, 1)({ kind: 'text', text: 'a' });
    for (const news of await heard) assert.deepEqual(news, { isSettled: false });
    const settled = ears[0]?.next(20_000);
    writer.settled(runIds[0] ?? '');
    assert.deepEqual(await settled, { isSettled: true });
    // A connection that breaks is made again, and everybody looks.
    const woken = ears[1]?.next(20_000);
    proxy.cut();
    assert.deepEqual(await woken, { isSettled: true });
    for (const ear of ears) ear.close();
    await until('nobody listens', async () => (await listening()) === 0);
  });

  it('tells a gap where the database was away for longer than words are kept, and goes on after it', async () => {
    const { writer, troubles } = openWriter(proxy.url);
    const runId = randomId('run');
    const say = writer.open(stores.tenant, runId, 1);
    say({ kind: 'text', text: 'before ' });
    await until('it is written', async () => (await chunksOf(runId)).length === 1);
    proxy.hold();
    proxy.cut();
    const startedMs = performance.now();
    // Ten million characters: more than are kept.
    for (let piece = 0; piece < 10_000; piece += 1) {
      say({ kind: piece % 2 === 0 ? 'text' : 'reasoning', text: 'x'.repeat(1_000) });
    }
    assert.ok(performance.now() - startedMs < 5_000, 'saying waits for nothing');
    await until('the writer has noticed', () => troubles.length > 0);
    proxy.release();
    say({ kind: 'text', text: 'lost too' });
    await until('there is room again', async () => {
      say({ kind: 'text', text: 'after' });
      const { rows } = await sql<{ found: boolean }>`select exists (select from perdure.stream_chunks
        where run_id = ${runId} and convert_from(bytes, 'UTF8') like '%after%') as found`.execute(stores.db);
      return rows[0]?.found === true;
    });
    let [position, told]: [StreamPosition, StreamProgress[]] = [STREAM_START, []];
    for (let look = 0; look < 20; look += 1) {
      const heard = await toldOf(runId, position);
      position = heard.position;
      told = [...told, ...heard.told];
    }
    const text = textOf(told);
    assert.match(text, /^before x+.*<gap>.*after/);
    assert.equal(text.split('before').length, 2);
  });

  it('tells a chunk once that was written twice', async () => {
    const runId = randomId('run');
    const [attempt = 0] = await numberAttempts(stores.db, 1);
    const chunk = { tenant: stores.tenant, runId, turn: 1, attempt, delta: { kind: 'text', text: 'a' } } as const;
    await writeChunks(stores.db, [
      { ...chunk, sequence: 1 },
      { ...chunk, sequence: 2 },
    ]);
    await writeChunks(stores.db, [
      { ...chunk, sequence: 1 },
      { ...chunk, sequence: 2 },
    ]);
    assert.equal(textOf((await toldOf(runId)).told), 'aa');
  });

  it('drops chunks by whole partitions after an hour or two, and makes those that are missing', async () => {
    await ensureStreamPartitions(stores.db);
    const partitions = async (): Promise<readonly string[]> => {
      const { rows } = await sql<{ name: string }>`
        select relname as name from pg_inherits join pg_class on oid = inhrelid
         where inhparent = 'perdure.stream_chunks'::regclass order by relname`.execute(stores.db);
      return rows.map(({ name }) => name);
    };
    const hour = Math.floor(Date.now() / HOUR_MS);
    const old = `stream_chunks_h${hour - 3}`;
    await sql
      .raw(
        `create table if not exists perdure.${old} partition of perdure.stream_chunks
         for values from ('${new Date((hour - 3) * HOUR_MS).toISOString()}') to ('${new Date((hour - 2) * HOUR_MS).toISOString()}')`,
      )
      .execute(stores.db);
    await until('the old one is dropped', async () => {
      await dropStreamPartitions(stores.db);
      return !(await partitions()).includes(old);
    });
    assert.ok((await partitions()).includes(`stream_chunks_h${hour - 1}`));
    assert.ok((await partitions()).includes(`stream_chunks_h${hour + 2}`));
    // A writer makes the partition that nobody has made.
    await sql.raw(`drop table perdure.stream_chunks_h${hour}`).execute(stores.db);
    const { writer } = openWriter();
    const runId = randomId('run');
    writer.open(stores.tenant, runId, 1)({ kind: 'text', text: 'a' });
    await until('it is written', async () => (await chunksOf(runId)).length === 1);
  });

  async function listening(): Promise<number> {
    const { rows } = await sql<{ count: string }>`
      select count(*) from pg_stat_activity where query = 'listen perdure_streams'`.execute(stores.db);
    return Number(rows[0]?.count);
  }
});

function textOf(told: readonly StreamProgress[]): string {
  return told.map((each) => (each.kind === 'delta' ? each.text : `<${each.kind}>`)).join('');
}
