// Goal: every recorded history replays on this code, and a change that would break running runs is noticed before it ships (G6).
// Method: Temporal's replayer on histories that `npm run record:histories` made, and bundles of changed copies of the workflow code.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { createLogger } from '../../src/runtime/logger.ts';
import { bundleWorkflows } from '../../src/workers/bundle-workflows.ts';
import { installRuntime } from '../../src/workers/install-runtime.ts';
import { SHAPES } from './shapes.ts';

type StoredHistory = {
  readonly events: readonly [
    { readonly workflowExecutionStartedEventAttributes: { readonly workflowId: string } },
    ...object[],
  ];
};

const repository = join(import.meta.dirname, '../..');
const folder = join(import.meta.dirname, 'histories');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

async function replay(workflowBundle: WorkflowBundleWithSourceMap, name: string): Promise<void> {
  const history = JSON.parse(read(name)) as StoredHistory;
  const { workflowId } = history.events[0].workflowExecutionStartedEventAttributes;
  await Worker.runReplayHistory({ workflowBundle, replayName: name }, history, workflowId);
}

describe('replay', () => {
  before(() => installRuntime(createLogger('fatal')));

  it('has a history of every shape', () => {
    const recorded = new Set(files.map((name) => name.replace(/(-\d+)?\.json$/, '')));
    assert.deepEqual(
      Object.keys(SHAPES).filter((shape) => !recorded.has(shape)),
      [],
    );
  });

  it('keeps histories that name no machine', () => {
    for (const name of files) {
      const text = read(name);
      for (const word of [hostname(), repository, '/home/', '/root/', '/Users/']) {
        assert.ok(!text.includes(word), `${name} has ${word}`);
      }
      const identities = [...text.matchAll(/"identity":"([^"]*)"/g)].map(([, identity]) => identity ?? '');
      for (const identity of identities) assert.match(identity, /^(w-[0-9a-f]{6}|c-tests|history-service)?$/, name);
    }
  });

  for (const name of files) {
    it(`replays ${name}`, async () => replay(await bundleWorkflows(), name));
    it(`replays ${name} where runs are traced`, async () => replay(await bundleWorkflows('traced'), name));
  }

  it('notices activities in another order', async () => {
    const bundle = await bundleChanged('domain/run/decide.ts', (code) => {
      const admit = /^ *if \(run\.plan === null\).*\n/m.exec(code)?.[0] ?? '';
      const perceive = /^ *if \(run\.waiting\.length > 0\).*\n/m.exec(code)?.[0] ?? '';
      assert.ok(admit !== '' && perceive !== '');
      return code.replace(admit, '').replace(perceive, perceive + admit);
    });
    await assert.rejects(replay(bundle, 'one-answer.json'), { name: 'DeterminismViolationError' });
  });

  it('notices an activity that is left out', async () => {
    const bundle = await bundleChanged('workflows/present.ts', (code) => {
      const changed = code.replace(/return await recordEnd\(.*\);/, 'return end;');
      assert.notEqual(changed, code);
      return changed.replace(/const \{ recordEnd \}/, 'const { recordEnd: _left }');
    });
    await assert.rejects(replay(bundle, 'one-answer.json'), { name: 'DeterminismViolationError' });
  });
});

describe('the bundle', () => {
  for (const kind of ['plain', 'traced'] as const) {
    it(`has neither zod nor a part of Node (${kind})`, async () => assertPure(await bundleWorkflows(kind)));
  }

  it('has nothing of OpenTelemetry where runs are not traced', async () => {
    const bundles = [await bundleWorkflows(), await bundleWorkflows('traced')];
    assert.deepEqual(
      bundles.map(({ code }) => code.includes('node_modules/@opentelemetry/')),
      [false, true],
    );
  });

  for (const use of [
    "import { randomInt } from 'node:crypto';",
    "import { hrtime } from 'node:process';",
    "import { hostname } from 'os';",
  ]) {
    it(`cannot be built with ${use}`, async () => {
      const [name] = /\w+(?= \})/.exec(use) ?? [];
      const change = (code: string): string => `${use}\n${code}\nexport const outside = () => ${name};\n`;
      await assert.rejects(bundleChanged('domain/run/decide.ts', change), /Webpack finished with errors|disallowed/);
    });
  }
});

function assertPure({ code }: WorkflowBundleWithSourceMap): void {
  const modules = [...code.matchAll(/^\/\*\*\*\/ "([^"]+)":?/gm)].map(([, id]) => id ?? '');
  assert.ok(
    modules.some((id) => id.endsWith('agent-run.ts')),
    'the modules of the bundle can be listed',
  );
  assert.deepEqual(
    modules.filter((id) =>
      /node_modules\/(zod|pg|kysely|pino|@ai-sdk)\/|node:|src\/(activities|stores|runtime|client)\//.test(id),
    ),
    [],
  );
  assert.ok(!/\brequire\(["'](node:|fs|crypto|process)/.test(code));
}

/** Bundles a copy of the workflow code in which one file is changed. */
async function bundleChanged(path: string, change: (code: string) => string): Promise<WorkflowBundleWithSourceMap> {
  const copy = mkdtempSync(join(tmpdir(), 'perdure-bundle-'));
  try {
    for (const part of ['domain', 'workflows'])
      cpSync(join(repository, 'src', part), join(copy, 'src', part), { recursive: true });
    symlinkSync(join(repository, 'node_modules'), join(copy, 'node_modules'));
    const file = join(copy, 'src', path);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    const logger = new DefaultLogger('ERROR', () => undefined);
    return await bundleWorkflowCode({ workflowsPath: join(copy, 'src/workflows/index.ts'), logger });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
