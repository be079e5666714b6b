import { type Kysely, sql } from 'kysely';

/**
 * Compaction of transcripts: nodes that stand for others, summaries that were paid for, and reservations that say which summary they are for.
 * Only additions: the build before runs on it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table perdure.nodes add column replaces_from text, add column replaces_to text`,
  `alter table perdure.budget_reservations add column summary_key text`,
  `create table perdure.summaries (
     tenant text not null,
     run_id text not null,
     key text not null,
     ref text not null,
     created_at timestamptz not null default now(),
     primary key (tenant, run_id, key))`,
];
