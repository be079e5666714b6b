import { openDatabase } from '../stores/database.ts';
import { migrate } from '../stores/migrate.ts';

/**
 * Brings a database to this version's schema, before workers start. Safe to call from many processes at once.
 *
 * @param databaseUrl `postgres://user:password@host:port/database`
 * @throws Error when a migration fails, or when the database was made by a newer version.
 */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const db = openDatabase(databaseUrl, () => undefined);
  try {
    await migrate(db);
  } finally {
    await db.destroy();
  }
}
