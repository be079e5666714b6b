import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import type { Database, Db } from './database.ts';

/** One that writes and one that notifies. */
const CONNECTIONS_MAX = 2;

/** Milliseconds after which a write is given up: what it held is told as a gap, or written again. */
const ANSWER_MS = 5_000;

/**
 * Opens the connections of a process's stream writer, apart from those of the ledger. A commit of theirs does not wait for the disk: what a
 * crash of the database loses is in the reply that follows.
 */
export function openStreamDatabase(url: string, onError: (error: Error) => void): Db {
  const pool = new Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: ANSWER_MS,
    statement_timeout: ANSWER_MS,
    query_timeout: 2 * ANSWER_MS,
    keepAlive: true,
    idleTimeoutMillis: 60_000,
  });
  pool.on('error', onError);
  pool.on('connect', (client) => {
    // The next statement says what happened to a connection that breaks.
    client.on('error', () => undefined);
    client.query('set synchronous_commit = off').catch(() => undefined);
  });
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) }).withSchema('perdure');
}
