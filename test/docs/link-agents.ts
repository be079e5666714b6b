import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes a folder of agents from those of other folders. */
export async function linkAgents(folder: string, sources: readonly string[]): Promise<void> {
  await mkdir(folder);
  for (const source of sources) {
    for (const name of await readdir(source)) await symlink(join(source, name), join(folder, name));
  }
}
