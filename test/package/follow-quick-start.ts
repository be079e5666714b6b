/**
 * Goal: whoever follows docs/quick-start.md in an empty folder outside of this repository gets what it says (`npm run test:package`).
 * Method: the package is packed and installed by npm, every block of the page is written or run as it stands, and what commands print is
 * looked at. It prints the transcript. It needs a registry, and takes some minutes.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleLeaks } from '../../scripts/package/bundle-leaks.ts';
import { isProcessAlive } from '../../src/cli/dev-stack/process-identity.ts';
import { readStackState } from '../../src/cli/dev-stack/stack-state.ts';
import { readText, ROOT } from '../tidy/repository.ts';
import { stepsOf, type Step } from './page.ts';
import { type Ended, openTerminal, readersEnvironment, type Staying } from './terminal.ts';

/** Twenty minutes: an install on a slow network, or the first build of the Temporal server. */
const COMMAND_MS = 20 * 60_000;

/** What the commands of the page must print, in their order. */
const EXPECTED: readonly (readonly [command: RegExp, ...output: readonly RegExp[]])[] = [
  [/^npm pack$/, /perdure-0\.1\.0\.tgz/],
  [/^npm install \S+\.tgz zod/, /added \d+ packages/],
  [/perdure agent new notes/, /agents\/notes\/agent\.ts/, /Next\n {2}npx mocha/],
  [/^npm test$/, /saves a note once/, /\b3 passing/],
  [/^npm test$/, /tell everybody only what a person approved/, /\b4 passing/],
  [/^npm test$/, /replay on the installed version/, /\b5 passing/],
  [/^npm start$/, /I have noted that as N-/, /Web UI {4}http/, /completed · .* \(simulated\)/],
  [/run start notes/, /^[0-9A-Za-z]{22}$/m],
  [/approve ls/, /note-for-everybody/],
  [/approve decide/, /I have noted that as N-/, /\bcompleted\b/, /saveNote@1 .*succeeded/],
  [/^npx tsc$/],
];

/** Prints a transcript that a person can read: not the list of the several hundred files that npm packs. */
const print = (text: string): void => void process.stdout.write(text.replaceAll(/^npm notice [\d.]+k?M?B .*\n/gm, ''));
const place = realpathSync(mkdtempSync(join(tmpdir(), 'consumer-perdure-')));
const folder = join(place, 'my-agents');
const stateFile = join(folder, '.data/dev-stack.json');
const env = readersEnvironment(process.env, ROOT);
// PostgreSQL's account, where we are root, must reach its data.
chmodSync(place, 0o755);
// The page finds the package in the checkout beside the folder.
mkdirSync(join(place, 'perdure'));
mkdirSync(folder);
const inFolder = openTerminal(folder, env, print);
const inCheckout = openTerminal(ROOT, { ...env, npm_config_pack_destination: join(place, 'perdure') }, print);

const startedAt = Date.now();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void interruptAll().then(() => process.exit(130)));
const staying: Staying[] = [];
let runId = '';
try {
  await followPage();
  await lookCloser();
  const servers = Object.values(readStackState(stateFile)).map((server) => server.process);
  assert.deepEqual(servers.map(isProcessAlive), [true, true]);
  // What npm itself ends with after Ctrl-C is npm's business.
  await interruptAll();
  assert.deepEqual(servers.map(isProcessAlive), [false, false], 'npm start leaves no server');
} catch (error) {
  await interruptAll();
  print(`\nThe folder is kept: ${folder}\n`);
  throw error;
}
rmSync(place, { recursive: true, force: true });
print(`\nEverything came out as the page says, in ${Math.round((Date.now() - startedAt) / 1000)} s.\n`);

async function followPage(): Promise<void> {
  const expected = [...EXPECTED];
  for (const step of stepsOf(readText('docs/quick-start.md'))) {
    if (step.kind === 'write') {
      print(`\n# writes ${step.path}\n`);
      mkdirSync(dirname(join(folder, step.path)), { recursive: true });
      writeFileSync(join(folder, step.path), step.text);
      continue;
    }
    const [command, ...patterns] = expected.shift() ?? [/^nothing more$/];
    const commands = step.kind === 'run' ? step.commands : step.command;
    assert.match(commands, command, 'the page has other commands than this script expects');
    const output = await follow(step);
    for (const pattern of patterns) assert.match(output, pattern);
    runId = /^[0-9A-Za-z]{22}$/m.exec(output)?.[0] ?? runId;
  }
  assert.deepEqual(expected, [], 'the page has fewer commands than this script expects');
}

function interruptAll(): Promise<readonly Ended[]> {
  return Promise.all(staying.map(({ interrupt }) => interrupt()));
}

/** Does what a reader does with a block of commands, and gives what was printed. */
async function follow(step: Exclude<Step, { readonly kind: 'write' }>): Promise<string> {
  if (step.kind === 'stay') {
    print(`\n$ ${step.command}\n`);
    const stays = inFolder.stay(step.command);
    staying.push(stays);
    return stays.until(/ready; press Ctrl-C/, COMMAND_MS);
  }
  const commands = step.commands.replaceAll(/\bRUN\b/g, runId);
  const terminal = step.where === 'checkout' ? inCheckout : inFolder;
  for (let look = 1; ; look += 1) {
    print(`\n$ ${commands.replaceAll('\n', '\n$ ')}\n`);
    const began = Date.now();
    const ended = await terminal.run(commands, COMMAND_MS);
    print(`# ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
    assert.equal(ended.exitCode, 0, `it ended with ${ended.exitCode}: ${commands}`);
    // A person takes the time that a run needs until it asks; this script looks again.
    if (look === 20 || !ended.output.includes('nothing waits for approval')) return ended.output;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** Looks at what no reader looks at: what was installed, the Web UI, and workers as production runs them. */
async function lookCloser(): Promise<void> {
  print('\n# looks closer\n');
  const installed = join(folder, 'node_modules/perdure');
  const sources = filesIn(installed).filter((path) => /(?<!\.d)\.ts$/.test(path) && !path.includes('/node_modules/'));
  assert.deepEqual(sources, [], 'the package has sources that Node would refuse to run');
  const bundle = readFileSync(join(installed, 'dist/workflow-bundle.js'), 'utf8');
  assert.deepEqual(bundleLeaks(bundle), []);
  for (const word of [ROOT, place, 'zod']) assert.ok(!bundle.includes(word), `the workflow bundle has ${word}`);
  const { temporal, postgres } = readStackState(stateFile);
  const { status } = await fetch(`${temporal?.uiUrl ?? ''}/namespaces/perdure/workflows/${runId}`);
  assert.equal(status, 200, 'the Web UI answers');
  const path = `${join(folder, 'node_modules/.bin')}:${env['PATH'] ?? ''}`;
  const servers = { TEMPORAL_ADDRESS: temporal?.address, DATABASE_URL: postgres?.url ?? undefined };
  const worker = openTerminal(folder, { ...env, ...servers, PATH: path }, print).stay('exec perdure-worker');
  staying.push(worker);
  await worker.until(/workers ready: agents, models, tools, ops; agents: notes/, 120_000);
  assert.equal((await worker.interrupt()).exitCode, 0, 'perdure-worker ends well after Ctrl-C');
}

function filesIn(path: string): readonly string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
