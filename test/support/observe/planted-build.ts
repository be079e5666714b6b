import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { testFolder } from '../servers.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A change of one source file: the text that must be there, and what takes its place. */
export type Patch = { readonly file: string; readonly from: string; readonly to: string };

/** Copies the sources and plants a mistake in the copy. Gives the folder of a build that worker processes can be started from. */
export async function plantBuild({ file, from, to }: Patch): Promise<string> {
  const folder = await testFolder();
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true });
  for (const name of ['package.json', 'tsconfig.json']) cpSync(join(root, name), join(folder, name));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const path = join(folder, file);
  const source = readFileSync(path, 'utf8');
  if (!source.includes(from)) throw new Error(`${file} no longer has ${JSON.stringify(from)}: plant something else`);
  writeFileSync(path, source.replace(from, to));
  return folder;
}
