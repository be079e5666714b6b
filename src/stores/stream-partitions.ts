import { sql } from 'kysely';
import type { Db } from './database.ts';

/**
 * How long the chunks of a stream stay after they were written, in milliseconds, and at most an hour longer. No model call takes longer than an
 * hour, so nothing is dropped of a reply that is not settled.
 */
const STREAM_CHUNKS_KEPT_MS = 60 * 60 * 1_000;

/** Milliseconds of a partition: chunks go with the last of it, so at most so much later than they must. */
const PARTITION_MS = 60 * 60 * 1_000;

/**
 * Whoever keeps house makes them every few minutes, and a writer that finds none makes them itself. Each costs every look some microseconds of
 * planning.
 */
const HOURS_AHEAD = 3;

/**
 * A change of partitions waits this long for its lock at most, in milliseconds: whoever writes chunks waits behind it. It is tried again
 * with the next round.
 */
const LOCK_MS = 250;

/** What PostgreSQL says where a partition was made by another process at the same moment, is gone, or is in use. */
const EXPECTED = new Set(['42P07', '23505', '42710', '42P01', '55P03']);

/** Makes the hourly partitions of stream chunks from the last hour to three hours ahead, where they are missing. */
export async function ensureStreamPartitions(db: Db): Promise<void> {
  const thisHour = await currentHour(db);
  const names = await partitionNames(db);
  for (let hour = thisHour - 1; hour <= thisHour + HOURS_AHEAD; hour += 1) {
    if (names.includes(nameOf(hour))) continue;
    const [from, to] = [hour, hour + 1].map((number) => new Date(number * PARTITION_MS).toISOString());
    await change(
      db,
      `create table if not exists perdure.${nameOf(hour)} partition of perdure.stream_chunks for values from ('${from}') to ('${to}')`,
    );
  }
}

/** Drops the partitions whose chunks are all older than they are kept. */
export async function dropStreamPartitions(db: Db): Promise<void> {
  const keptFrom = (await currentHour(db)) - Math.ceil(STREAM_CHUNKS_KEPT_MS / PARTITION_MS);
  for (const name of await partitionNames(db)) {
    if (hourOf(name) < keptFrom) await change(db, `drop table if exists perdure.${name}`);
  }
}

/** One statement in a transaction of its own, so that no lock is held for longer than it takes. */
async function change(db: Db, statement: string): Promise<void> {
  try {
    await db.transaction().execute(async (tx) => {
      await sql.raw(`set local lock_timeout = ${LOCK_MS}`).execute(tx);
      await sql.raw(statement).execute(tx);
    });
  } catch (error) {
    if (!EXPECTED.has((error as { code?: string }).code ?? '')) throw error;
  }
}

/** The database's clock says where its rows go. */
async function currentHour(db: Db): Promise<number> {
  const { rows } = await sql<{ now: Date }>`select now()`.execute(db);
  return Math.floor((rows[0]?.now ?? new Date()).getTime() / PARTITION_MS);
}

async function partitionNames(db: Db): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'perdure.stream_chunks'::regclass`.execute(db);
  return rows.map(({ name }) => name);
}

function nameOf(hour: number): string {
  return `stream_chunks_h${hour}`;
}

function hourOf(name: string): number {
  return Number(name.slice('stream_chunks_h'.length));
}
