// Goal: what the package ships is whole and loads without this repository, and its workflow bundle holds our workflow code and no more.
// Method: the package is built into a folder for temporary files; a project beside it imports every export and runs the commands.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildPackage } from '../../scripts/package/build-package.ts';
import { bundleLeaks } from '../../scripts/package/bundle-leaks.ts';
import { exportedSources } from '../../scripts/package/exported-sources.ts';
import { readFiles, readText, ROOT } from '../tidy/repository.ts';
import { stepsOf } from './page.ts';
import { readersEnvironment } from './terminal.ts';

type Manifest = Parameters<typeof exportedSources>[0] & {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
};

const manifest = JSON.parse(readText('package.json')) as Manifest;
const exported = exportedSources(manifest);

/** One thing of each export, which shows that it is the right file. */
const PROMISED: Readonly<Record<string, string>> = {
  perdure: 'defineAgent',
  'perdure/tool': 'defineTool',
  'perdure/client': 'connect',
  'perdure/reader': 'openRunReader',
  'perdure/worker': 'startWorkers',
  'perdure/prices': 'billReply',
  'perdure/testing': 'startTestPlatform',
};

describe('the package', function () {
  this.timeout(180_000);

  let place: string;
  let project: string;
  let bundle: string;

  before(async () => {
    place = realpathSync(mkdtempSync(join(tmpdir(), 'perdure-package-')));
    const root = join(place, 'package');
    project = join(place, 'project');
    await buildPackage(join(root, 'dist'));
    for (const name of ['package.json', 'bin', 'docs', 'temporal-config', 'LICENSE', 'README.md']) {
      cpSync(join(ROOT, name), join(root, name), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(root, join(project, 'node_modules/perdure'));
    for (const name of ['zod', '@types'])
      symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
    writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    bundle = readFileSync(join(root, 'dist/workflow-bundle.js'), 'utf8');
  });
  after(() => rmSync(place, { recursive: true, force: true }));

  it('exports what exists', () => {
    assert.deepEqual(exported.map(({ specifier }) => specifier).toSorted(), Object.keys(PROMISED).toSorted());
    for (const { source, types, code } of exported) {
      assert.ok(existsSync(join(ROOT, source)), source);
      for (const path of [types, code]) assert.ok(existsSync(join(place, 'package', path)), path);
    }
  });

  it('loads from another project', async () => {
    const lines = exported.map(({ specifier }) => `found['${specifier}'] = Object.keys(await import('${specifier}'));`);
    writeFileSync(
      join(project, 'load.js'),
      ['const found = {};', ...lines, 'console.log(JSON.stringify(found));'].join('\n'),
    );
    const { stdout } = await inProject('load.js');
    const found = JSON.parse(stdout) as Record<string, string[]>;
    for (const [specifier, name] of Object.entries(PROMISED)) assert.ok(found[specifier]?.includes(name), specifier);
  });

  it('has types for another project, which may be strict', async () => {
    const lines = Object.entries(PROMISED).map(
      ([specifier, name]) => `export { ${name} as a${name}${specifier.length} } from '${specifier}';`,
    );
    writeFileSync(join(project, 'types.ts'), lines.join('\n'));
    writeFileSync(
      join(project, 'wrong.ts'),
      `import { defineAgent } from 'perdure';\nexport const agent = defineAgent({ name: 1 });\n`,
    );
    const options = [
      '--strict',
      '--noEmit',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--types',
      'node',
      '--skipLibCheck',
      '--pretty',
      'false',
      '--ignoreConfig',
    ];
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    await inProject(compiler, ...options, 'types.ts');
    await assert.rejects(inProject(compiler, ...options, 'wrong.ts'), ({ stdout }: { readonly stdout: string }) =>
      stdout.includes("Type 'number' is not assignable to type 'string'"),
    );
  });

  it('runs its own commands, and makes agents that use the package', async () => {
    const perdure = join(project, 'node_modules/perdure/bin/perdure.js');
    assert.equal((await inProject(perdure, '--version')).stdout.trim(), manifest.version);
    mkdirSync(join(project, 'agents'));
    await inProject(perdure, 'agent', 'new', 'notes');
    assert.match(readFileSync(join(project, 'agents/notes/agent.ts'), 'utf8'), /from 'perdure';/);
    assert.match((await inProject(perdure, 'agent', 'ls')).stdout, /^notes +notes +2 /m);
    await inProject(join(ROOT, 'node_modules/mocha/bin/mocha.js'), 'test/agents/notes/notes.test.ts');
  });

  it('runs the tests that the page on testing shows', async () => {
    const page = stepsOf(readText('docs/test-an-agent.md'));
    const tests = page.flatMap((step) => (step.kind === 'write' ? [step] : []));
    mkdirSync(join(project, 'test'), { recursive: true });
    for (const { path, text } of tests) writeFileSync(join(project, path), text);
    const mocha = join(ROOT, 'node_modules/mocha/bin/mocha.js');
    const { stdout } = await inProject(mocha, '--timeout', '60000', ...tests.map(({ path }) => path));
    assert.match(stdout, /3 passing/);
    assert.ok(existsSync(join(project, 'test/contracts.json')));
  });

  it('replays on the bundle that it ships', async () => {
    const perdure = join(project, 'node_modules/perdure/bin/perdure.js');
    const history = join(ROOT, 'test/replay/histories/approval-approved.json');
    assert.match((await inProject(perdure, 'replay', history)).stdout, /^ok +approval-approved\.json$/m);
  });

  it('packs what it needs, and no sources', async () => {
    const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: join(place, 'package'),
      maxBuffer: 16 * 1024 * 1024,
    });
    const [packed] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
    const paths = packed.files.map(({ path }) => path);
    assert.deepEqual(
      paths.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts')),
      [],
    );
    const migrations = readFiles('src/stores/migrations', '.ts').map(({ path }) =>
      path.replace(/^src(.*)\.ts$/, 'dist$1.js'),
    );
    const templates = readFiles('src/cli/agent-template', '.template').map(({ path }) => path.replace('src', 'dist'));
    const config = ['dynamic-config.json', 'search-attributes.json', 'dev-server/go.mod', 'dev-server/go.sum'];
    for (const needed of [
      ...migrations,
      ...templates,
      ...config.map((name) => `temporal-config/${name}`),
      'bin/perdure.js',
      'bin/perdure-worker.js',
      'dist/workflow-bundle.js',
      'dist/workflow-bundle-traced.js',
      'docs/quick-start.md',
    ]) {
      assert.ok(paths.includes(needed), needed);
    }
  });

  it('depends on every package that its code imports', () => {
    const code = readdirSync(join(place, 'package/dist'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.js') && !path.startsWith('workflow-bundle'))
      .map((path) => readFileSync(join(place, 'package/dist', path), 'utf8'));
    const imported = code.flatMap((text) =>
      [...text.matchAll(/^(?:import|export|\}) (?:.*from )?'([^'.][^']*)'|\bimport\('([^'.][^']*)'\)/gm)].map(
        ([, name, dynamic]) => name ?? dynamic ?? '',
      ),
    );
    const packages = imported.map((name) =>
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    );
    const missing = new Set(
      packages.filter((name) => !name.startsWith('node:') && manifest.dependencies[name] === undefined),
    );
    assert.ok(packages.includes('zod') && packages.includes('@temporalio/worker'));
    assert.deepEqual([...missing], []);
  });

  it('is the one that the quick start installs', () => {
    const commands = stepsOf(readText('docs/quick-start.md')).flatMap((step) =>
      step.kind === 'run' ? [step.commands] : [],
    );
    assert.ok(commands.some((each) => each.includes(`/perdure-${manifest.version}.tgz`)));
  });

  describe('workflow bundle', () => {
    it('holds our workflow code, the SDK’s, and nothing else', () => assert.deepEqual(bundleLeaks(bundle), []));

    it('names no folder of the machine that built it', () => {
      const map = /sourceMappingURL=\S+base64,(\S+)/.exec(bundle)?.[1] ?? '';
      const { sources } = JSON.parse(Buffer.from(map, 'base64').toString('utf8')) as {
        readonly sources: readonly string[];
      };
      assert.ok(sources.includes('src/workflows/agent-run.ts'));
      for (const text of [bundle, ...sources]) {
        for (const path of [ROOT, realpathSync(join(ROOT, 'node_modules'))]) assert.ok(!text.includes(path), path);
      }
    });

    for (const leak of [
      './node_modules/zod/v4/core/index.js',
      '../my-agents/node_modules/zod/index.js',
      './src/domain/schemas/fields.ts',
      './src/stores/runs.ts',
      './src/activities/failures.ts',
      '../my-agents/agents/notes/agent.ts',
      './node_modules/@temporalio/worker/lib/index.js',
      './node_modules/@temporalio/client/lib/index.js',
      'node:crypto',
    ]) {
      it(`would tell of ${leak}`, () => assert.deepEqual(bundleLeaks(`${bundle}\n/***/ "${leak}"\n`), [leak]));
    }

    it('would tell of a part of Node', () => {
      assert.deepEqual(bundleLeaks(`${bundle}\nmodule.exports = require("crypto");\n`), ['require of crypto']);
    });

    it('is not judged when its modules cannot be listed', () => {
      assert.throws(() => bundleLeaks('minified()'), /does not list the module/);
    });
  });

  function inProject(script: string, ...parameters: readonly string[]) {
    const env = readersEnvironment(process.env, ROOT);
    return promisify(execFile)(process.execPath, [script, ...parameters], { cwd: project, env });
  }
});
