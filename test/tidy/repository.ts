import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Root of the repository. */
export const ROOT = join(import.meta.dirname, '../..');

/** Folders that hold nothing we wrote. */
const FOREIGN = new Set(['node_modules', 'dist', '.git', '.data']);

/** A file, by its path from the root of the repository. */
export type TextFile = { readonly path: string; readonly text: string };

/** Reads every file of a folder whose name ends so, in the order of their paths. */
export function readFiles(folder: string, ending: string): readonly TextFile[] {
  return pathsIn(join(ROOT, folder))
    .filter((path) => path.endsWith(ending))
    .map((path) => ({ path: relative(ROOT, path), text: readFileSync(path, 'utf8') }));
}

/** Reads one file. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function pathsIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !FOREIGN.has(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? pathsIn(join(folder, entry.name)) : [join(folder, entry.name)]));
}
