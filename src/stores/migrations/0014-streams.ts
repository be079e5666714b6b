import { type Kysely, sql } from 'kysely';

/**
 * What models say while they say it. The rows live for an hour or two, in partitions of an hour that are dropped whole; the transcript has the
 * reply. There is no key: a row that was written twice is read once.
 */
const STREAMS = [
  `create sequence perdure.stream_attempts maxvalue 999 cycle`,
  `create table perdure.stream_chunks (
     tenant text not null,
     run_id text not null,
     turn integer not null,
     attempt bigint not null,
     sequence integer not null,
     bytes bytea not null,
     alg text not null,
     kid text,
     at timestamptz not null default clock_timestamp()) partition by range (at)`,
  `create index stream_chunks_by_place on perdure.stream_chunks (tenant, run_id, turn, attempt, sequence)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STREAMS) await sql.raw(statement).execute(db);
}
