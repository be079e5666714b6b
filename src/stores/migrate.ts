import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { ensurePartitions } from './partitions.ts';
import { ensureStreamPartitions } from './stream-partitions.ts';
import type { Db } from './database.ts';
import { up as createRunTables } from './migrations/0001-run.ts';
import { up as addRetry } from './migrations/0002-retry.ts';
import { up as createDeferredCalls } from './migrations/0003-deferred.ts';
import { up as addCompaction } from './migrations/0004-compaction.ts';
import { up as findMessages } from './migrations/0005-conversation.ts';
import { up as indexOpenRows } from './migrations/0009-open-rows.ts';
import { up as noteFiles } from './migrations/0010-message-files.ts';
import { up as addBudgets } from './migrations/0011-budgets.ts';
import { up as createRateLimits } from './migrations/0012-rate-limits.ts';
import { up as createModelRouting } from './migrations/0013-model-routing.ts';
import { up as createStreams } from './migrations/0014-streams.ts';
import { up as detailUsage } from './migrations/0015-usage-details.ts';
import { up as markReady } from './migrations/0016-budget-ready.ts';
import { up as indexEnds } from './migrations/0020-runs-by-end.ts';

/** Migrations in their order. A released one never changes. */
const MIGRATIONS = {
  '0001-run': { up: createRunTables },
  '0002-retry': { up: addRetry },
  '0003-deferred': { up: createDeferredCalls },
  '0004-compaction': { up: addCompaction },
  '0005-conversation': { up: findMessages },
  '0009-open-rows': { up: indexOpenRows },
  '0010-message-files': { up: noteFiles },
  '0011-budgets': { up: addBudgets },
  '0012-rate-limits': { up: createRateLimits },
  '0013-model-routing': { up: createModelRouting },
  '0014-streams': { up: createStreams },
  '0015-usage-details': { up: detailUsage },
  '0016-budget-ready': { up: markReady },
  '0020-runs-by-end': { up: indexEnds },
};

/**
 * Brings the database to the newest schema and makes the partitions of the coming weeks. Safe to call from many processes at once.
 *
 * @throws Error when a migration fails, or when the database was made by a newer version.
 */
export async function migrate(db: Db): Promise<void> {
  await sql`create schema if not exists perdure`.execute(db).catch(ignoreRace);
  const migrator = new Migrator({
    db: db.withoutPlugins(),
    migrationTableSchema: 'perdure',
    provider: { getMigrations: async () => MIGRATIONS },
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const reason = error instanceof Error ? error.message : 'unknown reason';
    const hint = reason.includes('corrupted migrations')
      ? ' It was made by a newer version of Perdure: upgrade, or use another database.'
      : '';
    throw new Error(`the database could not be brought to this version's schema: ${reason}.${hint}`, { cause: error });
  }
  await ensurePartitions(db);
  await ensureStreamPartitions(db);
}

/** Two processes may create the schema at once; PostgreSQL then reports a duplicate in spite of "if not exists". */
function ignoreRace(error: unknown): void {
  if ((error as { code?: string }).code !== '23505' && (error as { code?: string }).code !== '42P06') throw error;
}
