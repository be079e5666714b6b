import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** One finding of the linter. */
export interface Report {
  readonly file: string;
  readonly line: number;
  /** The rule, as the linter prints it: `eslint(max-lines)`. */
  readonly rule: string;
  readonly message: string;
}

const repository = join(import.meta.dirname, '../..');
const linter = join(repository, 'node_modules/oxlint/bin/oxlint');
const outputBytesMax = 64 * 1024 * 1024; // 5,000 findings need about 5 MB

/**
 * Writes files into an empty folder, lints them there with this repository's rules, and removes the folder.
 *
 * @param files texts by path, from the root of the tree.
 */
export async function lintPlanted(files: ReadonlyMap<string, string>): Promise<readonly Report[]> {
  const tree = await realpath(await mkdtemp(join(tmpdir(), 'perdure-layers-')));
  try {
    for (const shared of ['.oxlintrc.json', 'tsconfig.json', 'scripts']) {
      await cp(join(repository, shared), join(tree, shared), { recursive: true });
    }
    await symlink(join(repository, 'node_modules'), join(tree, 'node_modules')); // type-aware rules are a package of their own
    for (const [path, text] of files) {
      await mkdir(join(tree, dirname(path)), { recursive: true });
      await writeFile(join(tree, path), text);
    }
    return readReports(await runLinter(tree));
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function runLinter(cwd: string): Promise<string> {
  const options = { cwd, maxBuffer: outputBytesMax };
  try {
    return (await promisify(execFile)(process.execPath, [linter, '--format', 'json'], options)).stdout;
  } catch (error) {
    // Findings make it exit 1, and that is what the planted files are for.
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string };
    if (code === 1 && stdout?.startsWith('{')) {
      return stdout;
    }
    throw new Error(`The linter did not run: ${stderr}${stdout}`, { cause: error });
  }
}

interface Diagnostic {
  readonly code: string;
  readonly message: string;
  readonly filename: string;
  readonly labels: readonly { readonly span: { readonly line: number } }[];
}

function readReports(output: string): readonly Report[] {
  const { diagnostics } = JSON.parse(output) as { diagnostics: readonly Diagnostic[] };
  return diagnostics.map(({ code, message, filename, labels }) => ({
    file: filename,
    line: labels[0]?.span.line ?? 0,
    rule: code,
    message,
  }));
}
