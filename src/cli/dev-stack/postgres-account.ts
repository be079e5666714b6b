import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import type { Report } from './report.ts';

const run = promisify(execFile);

/** The system account that PostgreSQL runs under; it refuses to run as root. */
export type PostgresAccount = { readonly uid: number; readonly gid: number };

/**
 * Names the account for PostgreSQL: null for "as we are", or the system's `postgres` account when we are root, which is
 * created where it is missing.
 *
 * @throws when we are root and the account can neither be found nor created.
 */
export async function postgresAccount(report: Report): Promise<PostgresAccount | null> {
  if (process.getuid?.() !== 0) return null;
  const existing = await findAccount();
  if (existing !== null) return existing;
  report('creating the system account "postgres": PostgreSQL refuses to run as root');
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
  } catch (error) {
    throw new Error(
      'PostgreSQL refuses to run as root and the account "postgres" could not be created. Run as another user, create that account, or set DATABASE_URL.',
      { cause: error },
    );
  }
  const created = await findAccount();
  if (created === null) throw new Error('The system account "postgres" was created but cannot be found');
  return created;
}

/** Tells whether the account may reach a file or enter a folder. */
export function canReach(account: PostgresAccount | null, path: string): boolean {
  // The system decides, not we: modes, access lists and mounts all count.
  return account === null || spawnSync('test', ['-x', path], { ...account, cwd: '/' }).status === 0;
}

async function findAccount(): Promise<PostgresAccount | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return null;
  }
}
