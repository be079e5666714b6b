import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { exportedSources } from '../../scripts/package/exported-sources.ts';
import { renderAgent } from '../../src/cli/agent-template/render-agent.ts';
import { loadAgents } from '../../src/workers/load-agents.ts';
import { parseMarkdown } from './markdown.ts';
import { readText, ROOT, type TextFile } from './repository.ts';

/** A block of TypeScript in a document: its first line is a comment with the path that it would have. */
export type Example = { readonly document: string; readonly path: string; readonly text: string };

/** What the examples of one document would see around them in this repository. */
const SURROUNDINGS = ['src', 'package.json'];

/** Agents that a document has its reader make with `perdure agent new`. */
const MADE: { readonly [document: string]: string } = { 'docs/quick-start.md': 'notes' };

/**
 * Finds the TypeScript of documents.
 *
 * @throws Error for a block that does not say where it would stand: then nobody can check it.
 */
export function examplesOf(documents: readonly TextFile[]): readonly Example[] {
  return documents.flatMap(({ path: document, text }) =>
    parseMarkdown(text)
      .blocks.filter(({ language }) => language === 'ts')
      .map((block) => {
        const path = /^\/\/ ((?:agents|examples|test)\/\S+\.ts)\n/.exec(block.text)?.[1];
        if (path !== undefined) return { document, path, text: block.text };
        throw new Error(`${document}: a block of TypeScript must begin with the comment "// agents/NAME/agent.ts"`);
      }),
  );
}

/** A copy of the examples, each document's in a folder of its own, as if they stood in this repository. */
export type PlantedExamples = {
  /** Gives what the compiler finds; empty when it finds nothing. */
  readonly typeCheck: () => Promise<string>;
  /** Loads the agents of a document as a worker does, and gives their names. */
  readonly loadAgents: (document: string) => Promise<readonly string[]>;
  /** Where the agents of a document are. */
  readonly agentsOf: (document: string) => string;
  /** Where an example is. */
  readonly pathOf: (example: Example) => string;
  readonly remove: () => Promise<void>;
};

/** Writes examples into a folder for temporary files. */
export async function plantExamples(examples: readonly Example[]): Promise<PlantedExamples> {
  const tree = await realpath(await mkdtemp(join(tmpdir(), 'perdure-examples-')));
  for (const shared of ['tsconfig.json', 'package.json']) await cp(join(ROOT, shared), join(tree, shared));
  await symlink(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  const folders = new Map([...new Set(examples.map(({ document }) => document))].map((name, n) => [name, `d${n}`]));
  const folderOf = (document: string): string => join(tree, folders.get(document) ?? 'none');
  for (const document of folders.keys()) {
    await mkdir(folderOf(document));
    for (const name of SURROUNDINGS) await symlink(join(ROOT, name), join(folderOf(document), name));
  }
  for (const { document, path, text } of [...examples, ...Object.entries(MADE).flatMap(madeAgent)]) {
    await mkdir(join(folderOf(document), dirname(path)), { recursive: true });
    await writeFile(join(folderOf(document), path), text);
  }
  const include = ['agents', 'examples', 'test'].map((folder) => `*/${folder}`);
  // Examples for users import the package; here its sources stand in for it.
  const exported = exportedSources(JSON.parse(readText('package.json')) as Parameters<typeof exportedSources>[0]);
  const paths = Object.fromEntries(exported.map(({ specifier, source }) => [specifier, [join(ROOT, source)]]));
  const config = { extends: './tsconfig.json', compilerOptions: { paths }, include };
  await writeFile(join(tree, 'tsconfig.examples.json'), JSON.stringify(config));
  return {
    typeCheck: () => compile(tree),
    loadAgents: async (document) => [...(await loadAgents(join(folderOf(document), 'agents'))).keys()],
    pathOf: ({ document, path }) => join(folderOf(document), path),
    agentsOf: (document) => join(folderOf(document), 'agents'),
    remove: () => rm(tree, { recursive: true, force: true }),
  };
}

function madeAgent([document, name]: readonly [string, string]): readonly Example[] {
  const [authoringFromAgent, agentFromTest] = ['perdure', `../../../agents/${name}`];
  const names = { name, authoringFromAgent, authoringFromTest: authoringFromAgent, agentFromTest, testPath: '' };
  return renderAgent(names).map(({ folder, file, text }) => {
    const path = folder === 'agent' ? `agents/${name}/${file}` : `test/agents/${name}/${file}`;
    return { document, path, text };
  });
}

async function compile(tree: string): Promise<string> {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const parameters = [compiler, '--noEmit', '--pretty', 'false', '--project', join(tree, 'tsconfig.examples.json')];
  try {
    await promisify(execFile)(process.execPath, parameters, { cwd: tree });
    return '';
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    return `${stdout ?? ''}${stderr ?? ''}` || String(error);
  }
}
