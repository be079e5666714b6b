import { constants } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ToolUnreachable } from '../../../src/authoring/index.ts';

/** A file that can be a document. */
export type DocumentFile = {
  /** From the folder, with `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
};

/** Finds README.md, CONTRIBUTING.md, docs/**\/*.md and agents/*\/README.md. Links are not followed, so nothing outside is found. */
export async function findFiles(folder: string): Promise<readonly DocumentFile[]> {
  const entries = await entriesOf(folder).catch((error: unknown) => {
    throw new ToolUnreachable(
      `The folder of the documents cannot be read (${codeOf(error)}); PERDURE_RESEARCH_DIR names it.`,
      { cause: error },
    );
  });
  const own = entries.files.filter((name) => name === 'README.md' || name === 'CONTRIBUTING.md');
  const docs = entries.folders.includes('docs') ? await markdownIn(folder, 'docs') : [];
  const agents = entries.folders.includes('agents') ? await readmesIn(folder, 'agents') : [];
  const files = await Promise.all([...own, ...docs, ...agents].map((path) => describeFile(folder, path)));
  return files.flatMap((file) => file ?? []).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** Reads a file; null when it is gone, or has become a link, since it was found. */
export async function readText(folder: string, path: string): Promise<string | null> {
  try {
    return await readFile(join(folder, path), { encoding: 'utf8', flag: constants.O_RDONLY | constants.O_NOFOLLOW });
  } catch (error) {
    if (['ENOENT', 'ELOOP'].includes(codeOf(error))) return null;
    throw error;
  }
}

async function describeFile(folder: string, path: string): Promise<DocumentFile | null> {
  try {
    const { size, mtimeMs } = await lstat(join(folder, path));
    return { path, bytes: size, modifiedMs: mtimeMs };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function markdownIn(folder: string, path: string): Promise<readonly string[]> {
  const { files, folders } = await entriesOf(join(folder, path));
  const below = await Promise.all(folders.map((name) => markdownIn(folder, `${path}/${name}`)));
  return [...files.filter((name) => name.endsWith('.md')).map((name) => `${path}/${name}`), ...below.flat()];
}

async function readmesIn(folder: string, path: string): Promise<readonly string[]> {
  const { folders } = await entriesOf(join(folder, path));
  const found = await Promise.all(
    folders.map(async (name) => {
      const { files } = await entriesOf(join(folder, path, name));
      return files.includes('README.md') ? [`${path}/${name}/README.md`] : [];
    }),
  );
  return found.flat();
}

/** Lists real files and folders: an entry that is a link is neither. */
async function entriesOf(folder: string): Promise<{ readonly files: string[]; readonly folders: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true });
  return {
    files: entries.filter((entry) => entry.isFile()).map(({ name }) => name),
    folders: entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name),
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no reason given';
}
