import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { canReach, type PostgresAccount } from './postgres-account.ts';
import type { Report } from './report.ts';
import { systemStateDirectory } from './system-state-directory.ts';

/** Bytes that a new database folder takes (40 MB) with its first write-ahead logs, and room to work. */
const freeBytesMin = 200 * 1024 * 1024;

/**
 * Chooses the folder for a database: the wanted one, or one in the system's state folder when PostgreSQL's account
 * cannot pass the folders above the wanted one, such as a closed home.
 *
 * @throws one clear message when the folder cannot be written or belongs to another major version.
 */
export async function choosePostgresFolder(
  wanted: string,
  account: PostgresAccount | null,
  report: Report,
): Promise<string> {
  const folder = resolve(wanted);
  await requireWritable(dirname(folder));
  if (canReach(account, dirname(folder))) return folder;
  const key = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  const instead = join(await systemStateDirectory(), key, 'postgres');
  report(`PostgreSQL's account cannot reach ${folder}, so its data is in ${instead}`);
  await requireWritable(dirname(instead));
  await chmod(dirname(instead), 0o711);
  return instead;
}

/** Tells whether a folder holds a database, and refuses one that another major version made. */
export async function holdsDatabase(folder: string, version: string): Promise<boolean> {
  const found = await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => null);
  if (found === null) return false;
  const expected = version.split('.')[0];
  if (found.trim() === expected) return true;
  throw new Error(
    `${folder} holds a database of PostgreSQL ${found.trim()}; this Perdure has PostgreSQL ${expected}. Move the folder away for a new database, or run the old server and set DATABASE_URL.`,
  );
}

/** @throws when the disk below a folder has too little room for a new database. */
export async function requireRoom(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= freeBytesMin) return;
  throw new Error(
    `${folder} has ${Math.floor(free / 1024 / 1024)} MB free; a new database needs ${freeBytesMin / 1024 / 1024} MB. Free some, choose another data folder, or set DATABASE_URL.`,
  );
}

async function requireWritable(folder: string): Promise<void> {
  const probe = join(folder, `.write-test-${process.pid}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(probe, 'x');
    await rm(probe);
  } catch (error) {
    // The part before the comma is for people; the call and the path follow it.
    const reason = (error as Error).message.split(',')[0];
    throw new Error(`${folder} cannot be written (${reason}). Choose another data folder, or set DATABASE_URL.`, {
      cause: error,
    });
  }
}
