import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresAccount } from './postgres-account.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { requireRoom } from './postgres-folder.ts';
import { postgresEnvironment } from './postgres-environment.ts';

/** The database's own superuser. */
export const postgresUser = 'perdure';

/** Bytes of randomness in the generated password; URL-safe text, so that it can stand in an address as it is. */
const passwordBytes = 24;

/**
 * Makes a new database folder, complete or not at all, and keeps its generated password beside it.
 *
 * @throws with the last lines of initdb when it fails.
 */
export async function initialisePostgres(
  folder: string,
  binaries: PostgresBinaries,
  account: PostgresAccount | null,
): Promise<void> {
  await removeLeftovers(folder);
  await requireRoom(dirname(folder));
  const unfinished = `${folder}.new-${process.pid}`;
  const data = join(unfinished, 'data');
  const password = randomBytes(passwordBytes).toString('base64url');
  const passwordCopy = join(unfinished, 'password');
  await mkdir(unfinished, { mode: 0o700 });
  await writeFile(passwordCopy, password, { mode: 0o600 });
  if (account !== null) {
    await chown(unfinished, account.uid, account.gid);
    await chown(passwordCopy, account.uid, account.gid);
  }
  try {
    await runInitdb(binaries.initdb, data, passwordCopy, account);
    await writeFile(passwordPath(folder), password, { mode: 0o600 });
    await rename(data, folder).catch((error: unknown) => {
      throw new Error(`${folder} exists, but holds no database. Move it away, or choose another data folder.`, {
        cause: error,
      });
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Reads the password of a database folder. */
export async function readPostgresPassword(folder: string): Promise<string> {
  try {
    return await readFile(passwordPath(folder), 'utf8');
  } catch (error) {
    throw new Error(
      `${passwordPath(folder)}, the password of the database in ${folder}, cannot be read. Restore it, or remove that folder for a new, empty database.`,
      { cause: error },
    );
  }
}

function passwordPath(folder: string): string {
  return `${folder}-password`;
}

async function runInitdb(
  initdb: string,
  data: string,
  passwordFile: string,
  account: PostgresAccount | null,
): Promise<void> {
  // The built-in locale sorts alike on every machine, and changes with no system library.
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const access = ['--auth=scram-sha-256', `--username=${postgresUser}`, `--pwfile=${passwordFile}`];
  try {
    await promisify(execFile)(initdb, [`--pgdata=${data}`, ...locale, ...access], {
      env: postgresEnvironment(process.env),
      cwd: '/',
      ...account,
    });
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? '';
    const reason = output.trim().split('\n').slice(-5).join('\n') || (error as Error).message;
    throw new Error(`PostgreSQL could not make its data folder ${data}:\n${reason}`, { cause: error });
  }
}

/** Removes what a killed initialisation left. */
async function removeLeftovers(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.new-`;
  const names = (await readdir(dirname(folder))).filter((name) => name.startsWith(prefix));
  for (const name of names) await rm(join(dirname(folder), name), { recursive: true, force: true });
}
