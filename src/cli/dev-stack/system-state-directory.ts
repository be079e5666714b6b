import { access, constants, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Names a folder outside of all homes that any account may pass through; it survives a restart where possible. */
export async function systemStateDirectory(): Promise<string> {
  for (const parent of ['/var/lib', tmpdir()]) {
    const folder = join(parent, 'perdure');
    try {
      await mkdir(folder, { recursive: true, mode: 0o755 });
      await access(folder, constants.W_OK);
      // In a folder that everybody may write, somebody else may have made this one, or a link in its place.
      const { uid } = await lstat(folder);
      if (uid === process.getuid?.()) return folder;
    } catch {
      // Not ours to write, or a read-only system: the next one.
    }
  }
  throw new Error(`There is no folder perdure of our own in /var/lib or ${tmpdir()}, and none can be made`);
}
