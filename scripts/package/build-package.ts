import { execFile } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { BUILT_BUNDLES, type BundleKind, bundleWorkflows } from '../../src/workers/bundle-workflows.ts';
import { bundleLeaks } from './bundle-leaks.ts';
import { portableBundle } from './portable-bundle.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/**
 * Builds what the package ships: JavaScript and types, the files that lie beside the code, and the workflow bundles, which a worker under
 * node_modules cannot make, because neither Node nor the bundler strips types there.
 *
 * @param dist Folder to write, which is emptied first.
 * @throws Error when the code does not compile or the bundle holds what does not belong into it.
 */
export async function buildPackage(dist: string): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  await compile(dist);
  cpSync(join(ROOT, 'src'), dist, { recursive: true, filter: (path) => !path.endsWith('.ts') });
  for (const kind of ['plain', 'traced'] as const) await writeBundle(dist, kind);
}

async function writeBundle(dist: string, kind: BundleKind): Promise<void> {
  const { code } = await bundleWorkflows(kind);
  const bundle = portableBundle(code, ROOT);
  const leaks = bundleLeaks(bundle);
  if (leaks.length > 0) throw new Error(`The workflow bundle holds what does not belong into it: ${leaks.join(', ')}`);
  writeFileSync(join(dist, BUILT_BUNDLES[kind]), bundle);
}

async function compile(dist: string): Promise<void> {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const parameters = ['--project', join(ROOT, 'tsconfig.build.json'), '--outDir', dist, '--pretty', 'false'];
  try {
    await promisify(execFile)(process.execPath, [compiler, ...parameters], { cwd: ROOT });
  } catch (error) {
    const { stdout } = error as { readonly stdout?: string };
    throw new Error(`The code does not compile:\n${stdout || String(error)}`, { cause: error });
  }
}
