import { sql } from 'kysely';
import type { Delta, StreamChunk, StreamPosition } from '../domain/stream/stream.ts';
import type { Db } from './database.ts';

/** A chunk to be written. */
export type NewChunk = StreamChunk & { readonly tenant: string; readonly runId: string };

/** A place in a run from which a reader goes on. */
export type StreamPlace = { readonly tenant: string; readonly runId: string; readonly after: StreamPosition };

/** The channel on which processes tell each other which runs have news. */
export const STREAM_CHANNEL = 'perdure_streams';

/** Which runs have something new: chunks, or a settled reply. */
export type StreamNews = { readonly said: readonly string[]; readonly settled: readonly string[] };

/** PostgreSQL takes fewer than 8,000 bytes in one notification. */
const NOTIFICATION_BYTES_MAX = 7_900;

/** Chunks of one run that one look gives; a look that is full is followed by the next at once. */
export const CHUNKS_PER_LOOK = 1_000;

/**
 * Gives as many attempts their numbers: the database's time in milliseconds and three digits that make them unique. Later ones are greater,
 * whichever process asks. A sequence alone would give numbers again that a crash or a failover made the database forget.
 */
export async function numberAttempts(db: Db, count: number): Promise<readonly number[]> {
  const { rows } = await sql<{ number: string }>`
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint * 1000 + nextval('perdure.stream_attempts') as number
      from generate_series(1, ${count}::int)`.execute(db);
  return rows.map(({ number }) => Number(number));
}

/** Writes chunks of any number of runs in one statement. */
export async function writeChunks(db: Db, chunks: readonly NewChunk[]): Promise<void> {
  await sql`
    insert into perdure.stream_chunks (tenant, run_id, turn, attempt, sequence, bytes, alg)
    select tenant, run_id, turn, attempt, sequence, bytes, 'none'
      from unnest(${chunks.map(({ tenant }) => tenant)}::text[], ${chunks.map(({ runId }) => runId)}::text[],
                  ${chunks.map(({ turn }) => turn)}::int[], ${chunks.map(({ attempt }) => attempt)}::bigint[],
                  ${chunks.map(({ sequence }) => sequence)}::int[],
                  ${chunks.map(({ delta }) => Buffer.from(JSON.stringify(delta)))}::bytea[])
        as c (tenant, run_id, turn, attempt, sequence, bytes)`.execute(db);
}

/** Tells all listening processes of news. Never part of another transaction: its commit takes a lock of the whole server. */
export async function notifyNews(db: Db, news: StreamNews): Promise<void> {
  await sql`select pg_notify(${STREAM_CHANNEL}, payload) from unnest(${payloadsOf(news)}::text[]) as payload`.execute(
    db,
  );
}

/** Reads a notification; null where it is not one of ours. */
export function readNews(payload: string): StreamNews | null {
  try {
    const { c: said, s: settled } = JSON.parse(payload) as { c?: string[]; s?: string[] };
    return { said: said ?? [], settled: settled ?? [] };
  } catch {
    return null;
  }
}

/** Reads what was said behind each place, in one statement. The answers are in the order of the places. */
export async function readChunks(db: Db, places: readonly StreamPlace[]): Promise<readonly (readonly StreamChunk[])[]> {
  type Row = { at: string; turn: number; attempt: string; sequence: number; bytes: Buffer };
  const { rows } = await sql<Row>`
    select w.at, c.turn, c.attempt, c.sequence, c.bytes
      from unnest(${places.map(({ tenant }) => tenant)}::text[], ${places.map(({ runId }) => runId)}::text[],
                  ${places.map(({ after }) => after.turn)}::int[], ${places.map(({ after }) => after.attempt)}::bigint[],
                  ${places.map(({ after }) => after.sequence)}::int[])
             with ordinality as w (tenant, run_id, turn, attempt, sequence, at)
     cross join lateral (
       select turn, attempt, sequence, bytes from perdure.stream_chunks c
        where c.tenant = w.tenant and c.run_id = w.run_id
          and (c.turn, c.attempt, c.sequence) > (w.turn, w.attempt, w.sequence)
          -- Names the partitions in which chunks can be.
          and c.at > now() - interval '2 hours' and c.at < now() + interval '1 hour'
        order by c.turn, c.attempt, c.sequence
        limit ${CHUNKS_PER_LOOK}) c
     order by w.at, c.turn, c.attempt, c.sequence`.execute(db);
  const found: StreamChunk[][] = places.map(() => []);
  for (const { at, turn, attempt, sequence, bytes } of rows) {
    const delta = JSON.parse(bytes.toString('utf8')) as Delta;
    found[Number(at) - 1]?.push({ turn, attempt: Number(attempt), sequence, delta });
  }
  return found;
}

/** Puts as many ids into each payload as it holds. */
function payloadsOf({ said, settled }: StreamNews): readonly string[] {
  const payloads: string[] = [];
  let [part, bytes] = [{ c: [] as string[], s: [] as string[] }, 0];
  const add = (key: 'c' | 's', id: string): void => {
    const size = Buffer.byteLength(JSON.stringify(id)) + 1;
    if (bytes + size > NOTIFICATION_BYTES_MAX - '{"c":[],"s":[]}'.length) {
      payloads.push(JSON.stringify(part));
      [part, bytes] = [{ c: [], s: [] }, 0];
    }
    part[key].push(id);
    bytes += size;
  };
  for (const id of said) add('c', id);
  for (const id of settled) add('s', id);
  if (bytes > 0) payloads.push(JSON.stringify(part));
  return payloads;
}
