import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { renderAgent } from '../agent-template/render-agent.ts';
import type { Cli } from '../cli.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { spellCommand } from '../spell-command.ts';

/** As many characters as `defineAgent` takes. */
const NAME_LENGTH_MAX = 48;

/** What every new agent imports in this repository, from its root. */
const AUTHORING = 'src/authoring/index.ts';

/** What it imports where Perdure is a package: the compiled code is what packages run. */
const PACKAGE = import.meta.url.endsWith('.js') ? 'perdure' : null;

/** Adds `agent new`. */
export function addAgentNew(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'new',
    summary: 'make an agent that runs at once, with a test',
    examples: ['perdure agent new notes'],
  })
    .argument('<name>', 'name of the agent, in kebab-case')
    .action(async (name: string, options: CommonOptions) => {
      const { cli } = context;
      checkName(name);
      const folders = foldersOf(cli, name);
      const files = await write(name, folders);
      const paths = files.map((path) => relative(cli.cwd, path).split(sep).join('/'));
      const next = nextSteps(name, paths);
      printData(context, options, { name, files: paths, next }, () => paths.join('\n'));
      cli.say(`\nNext\n${next.map((step) => `  ${step}`).join('\n')}`);
    });
}

/** Where a person finds the documents. */
const DOCUMENTS = PACKAGE === null ? 'docs' : 'node_modules/perdure/docs';

type Folders = { readonly agent: string; readonly test: string; readonly root: string };

/** @throws CommandError when the name is not one that an agent can have. */
function checkName(name: string): void {
  if (/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name) && name.length <= NAME_LENGTH_MAX) return;
  throw new CommandError(
    EXIT.usage,
    `${JSON.stringify(name)} cannot be the name of an agent. A name is kebab-case: small letters, digits and single dashes between them, a letter first, at most ${NAME_LENGTH_MAX} characters, for example order-desk.`,
  );
}

/** @throws CommandError when there is no folder for agents, or something of that name. */
function foldersOf({ cwd, env }: Pick<Cli, 'cwd' | 'env'>, name: string): Folders {
  const agents = resolve(cwd, env['PERDURE_AGENTS_DIR'] || 'agents');
  if (!existsSync(agents)) {
    throw new CommandError(EXIT.failed, `there is no folder ${agents}; run this where your agents/ folder is`);
  }
  const folders = { agent: join(agents, name), test: join(cwd, 'test', 'agents', name), root: rootOf(cwd) };
  const taken = [folders.agent, folders.test].find((folder) => existsSync(folder));
  if (taken === undefined) return folders;
  throw new CommandError(EXIT.conflict, `${relative(cwd, taken)} exists already; nothing was changed`);
}

/** The checkout that the command runs in, and otherwise the one that it is part of. */
function rootOf(cwd: string): string {
  return existsSync(join(cwd, AUTHORING)) ? cwd : fileURLToPath(new URL('../../..', import.meta.url));
}

/** Writes the files of an agent, and gives their paths. */
async function write(name: string, { agent, test, root }: Folders): Promise<readonly string[]> {
  const authoring = join(root, AUTHORING);
  const files = renderAgent({
    name,
    authoringFromAgent: PACKAGE ?? importPath(agent, authoring),
    authoringFromTest: PACKAGE ?? importPath(test, authoring),
    agentFromTest: importPath(test, agent),
    testPath: `test/agents/${name}/${name}.test.ts`,
  });
  const paths: string[] = [];
  for (const { folder, file, text } of files) {
    const path = join(folder === 'agent' ? agent : test, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { flag: 'wx' });
    paths.push(path);
  }
  return paths;
}

function importPath(from: string, to: string): string {
  return relative(from, to).split(sep).join('/');
}

function nextSteps(name: string, paths: readonly string[]): readonly string[] {
  const test = paths.find((path) => path.endsWith('.test.ts')) ?? '';
  return [
    `npx mocha ${test}`,
    `npm start -- --agent ${name}`,
    spellCommand(`agent show ${name}`),
    `then put your own tools into agents/${name}/agent.ts; ${DOCUMENTS}/write-a-tool.md says how`,
  ];
}
