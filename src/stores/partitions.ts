import { sql } from 'kysely';
import type { Db } from './database.ts';

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

/** Nine weeks: a worker that makes them once a day has two months to be noticed when it stops. */
const WEEKS_AHEAD = 9;

/** Tables that are partitioned by week, and the prefix of their partitions. */
const WEEKLY = ['observations'] as const;

/** Makes the weekly partitions from last week to nine weeks ahead, where they are missing. */
export async function ensurePartitions(db: Db): Promise<void> {
  const now = await sql<{ now: Date }>`select now()`.execute(db);
  const thisWeek = Math.floor((now.rows[0]?.now ?? new Date()).getTime() / WEEK_MS);
  for (const table of WEEKLY) {
    for (let week = thisWeek - 1; week <= thisWeek + WEEKS_AHEAD; week += 1) {
      const [from, to] = [week, week + 1].map((number) => new Date(number * WEEK_MS).toISOString());
      const name = `perdure.${table}_w${week}`;
      await sql
        .raw(
          `create table if not exists ${name} partition of perdure.${table} for values from ('${from}') to ('${to}')`,
        )
        .execute(db)
        .catch(ignoreExisting);
    }
  }
}

/** Another process made the same partition at the same moment. */
function ignoreExisting(error: unknown): void {
  if (!['42P07', '23505', '42710'].includes((error as { code?: string }).code ?? '')) throw error;
}
