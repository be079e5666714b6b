import { readdirSync } from 'node:fs';
import { sql } from 'kysely';
import { openDatabase, type Db } from '../../stores/database.ts';
import type { Cli } from '../cli.ts';
import { CommandError } from '../exit.ts';
import { explainError } from '../explain-error.ts';
import { ConfigurationError } from '../../runtime/config.ts';
import { findDatabase } from '../find-servers.ts';
import { examineMoney } from './examine-money.ts';
import { examineRuns } from './examine-runs.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

/** A worker that keeps house has nine weeks ready, so with fewer than four none has done so for a month. */
const WEEKS_AHEAD_MIN = 4;

/** Older releases get no fixes any more. The tests run on the one that npm brings. */
const POSTGRES_MIN = 14;

/** PostgreSQL's codes of a schema and of a table that are not there. */
const MISSING: readonly unknown[] = ['3F000', '42P01'];

/** Looks at the database, its schema and its partitions. */
export async function examinePostgres(cli: Pick<Cli, 'cwd' | 'env'>): Promise<readonly Finding[]> {
  let url: string;
  try {
    url = findDatabase(cli);
  } catch (error) {
    if (error instanceof ConfigurationError) return [fail('database', error.message, 'put DATABASE_URL right')];
    if (!(error instanceof CommandError)) throw error;
    return [warn('database', 'none runs for this folder', 'npm start brings one, or set DATABASE_URL')];
  }
  const db = openDatabase(url, () => undefined);
  try {
    return await examineDatabase(db);
  } catch (error) {
    return [fail('database', explainError(error).message, 'start it, or put DATABASE_URL right')];
  } finally {
    await db.destroy();
  }
}

async function examineDatabase(db: Db): Promise<readonly Finding[]> {
  const { rows } = await sql<{ version: string; number: number; host: string | null; now: Date }>`
    select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
           current_database() || ' at port ' || inet_server_port() as host, now() as now`.execute(db);
  const [row] = rows;
  const server = judgeServer(row?.version ?? '', row?.number ?? 0, row?.host ?? 'a local socket');
  const applied = await appliedMigrations(db);
  const schema = judgeSchema(ownMigrations(), applied);
  if (applied.length === 0) return [server, schema];
  const week = Math.floor((row?.now ?? new Date()).getTime() / WEEK_MS);
  const partitions = judgePartitions(await lastWeekReady(db, week), week);
  return [server, schema, partitions, ...(schema.status === 'ok' ? await examineWork(db) : [])];
}

/** Looks at what runs need, which only this version's tables can tell. */
async function examineWork(db: Db): Promise<readonly Finding[]> {
  return [...(await examineRuns(db)), ...(await examineMoney(db))];
}

function judgeServer(version: string, number: number, where: string): Finding {
  const message = `PostgreSQL ${version}, ${where}`;
  if (number >= POSTGRES_MIN * 10_000) return ok('database', message);
  return warn('database', message, `use PostgreSQL ${POSTGRES_MIN} or later: older ones get no fixes`);
}

/** Lists this version's migrations: each is a file, and its name is the migration's. */
export function ownMigrations(): readonly string[] {
  return readdirSync(new URL('../../stores/migrations', import.meta.url))
    .filter((file) => /^\d+-[\w-]+\.(?:ts|js)$/.test(file))
    .map((file) => file.replace(/\.\w+$/, ''))
    .toSorted();
}

async function appliedMigrations(db: Db): Promise<readonly string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from perdure.kysely_migration order by name`.execute(db);
    return rows.map(({ name }) => name);
  } catch (error) {
    if (MISSING.includes((error as { readonly code?: unknown }).code)) return [];
    throw error;
  }
}

/** Holds what was applied to a database against what this version has. */
export function judgeSchema(own: readonly string[], applied: readonly string[]): Finding {
  const newest = own.at(-1) ?? '';
  const unknown = applied.filter((name) => !own.includes(name));
  if (unknown.length > 0) {
    const mend = 'upgrade Perdure here, or use another database';
    return fail('schema', `made by a newer version, which also has ${unknown.join(', ')}`, mend);
  }
  const missing = own.filter((name) => !applied.includes(name));
  if (missing.length === 0) return ok('schema', `up to date (${newest})`);
  const message = applied.length === 0 ? 'the tables are not there yet' : `not applied: ${missing.join(', ')}`;
  return fail('schema', message, 'npm start, or any worker that starts, brings it up to date');
}

/** Finds the last week, from this one on without a gap, that observations can be written to; null when this one is missing. */
async function lastWeekReady(db: Db, thisWeek: number): Promise<number | null> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name
      from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'perdure.observations'::regclass`.execute(db);
  const weeks = new Set(rows.map(({ name }) => Number(/_w(\d+)$/.exec(name)?.[1])));
  let week = thisWeek;
  while (weeks.has(week)) week += 1;
  return week === thisWeek ? null : week - 1;
}

/** Judges up to which week there are partitions. */
export function judgePartitions(lastWeek: number | null, thisWeek: number): Finding {
  const mend = 'start a worker of the role ops: it makes those of the coming nine weeks, now and each day';
  if (lastWeek === null) return fail('partitions', 'there is none for this week: nothing can be observed', mend);
  const ahead = lastWeek - thisWeek;
  const message = `${ahead} ${ahead === 1 ? 'week' : 'weeks'} ahead`;
  return ahead >= WEEKS_AHEAD_MIN ? ok('partitions', message) : warn('partitions', message, mend);
}
