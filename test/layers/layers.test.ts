/**
 * Goal: the import table is an allow-list that the linter enforces, for every pair of layer and layer, package or module.
 * Method: plants one import per pair and form in an empty tree, lints it once with the repository's own rules, and
 * compares the lines that are reported with the lines that the table forbids.
 */
import assert from 'node:assert/strict';
import { layers, type LayerName } from '../../scripts/layers.ts';
import { lintPlanted, type Report } from './planted-tree.ts';
import { layerNames, targets, type Target } from './targets.ts';

type Kind = 'value' | 'type';

const forbiddenForms: Readonly<Record<string, string>> = {
  'an import for its side effects': `import '../stores/a.ts';`,
  'an inline type, which still loads the module': `import { type A } from '../activities/a.ts';\nexport type B = A;`,
  'a default import': `import a from '../stores/a.ts';\nexport const b = a;`,
  'a re-export': `export { a } from '../stores/a.ts';`,
  'a re-export of everything': `export * from '../stores/a.ts';`,
  'a re-export of types': `export type { A } from '../stores/a.ts';`,
  'a dynamic import': `export const a = await import('../stores/a.ts');`,
  'a dynamic import with a template': 'export const a = await import(`../stores/a.ts`);',
  'a dynamic import of a computed path': `export const load = (path: string) => import(path);`,
  'a type in place': `export type A = import('../stores/a.ts').A;`,
  'a require': `export const a = require('../stores/a.ts');`,
  'a folder': `import { a } from '../stores';\nexport const b = a;`,
  'a way round through another folder': `import { a } from './../workflows/../stores/a.ts';\nexport const b = a;`,
};

const allowedForms: Readonly<Record<string, string>> = {
  'a re-export of allowed types': `export type { A } from '../activities/a.ts';`,
  'an allowed type in place': `export type A = import('../activities/a.ts').A;`,
  'an allowed dynamic import': `export const a = await import('../domain/a.ts');`,
  'a file of its own layer': `import { a } from './deep/a.ts';\nexport const b = a;`,
  'a path that is only named': `export const path = new URL('../stores/a.ts', import.meta.url);`,
};

/** What no change of the table may open, because a guarantee rests on it. */
const neverOpened: Partial<Record<LayerName, readonly string[]>> = {
  domain: ['zod', 'pg', 'pino', 'node:crypto', '@temporalio/workflow', '@temporalio/common', 'src/stores/a.ts'],
  workflows: [
    'zod',
    'pg',
    'kysely',
    'pino',
    'node:crypto',
    'src/domain/schemas/a.ts',
    'src/stores/a.ts',
    'agents/a.ts',
  ],
  activities: ['@temporalio/workflow', '@temporalio/worker', '@temporalio/client', 'src/workflows/a.ts'],
  stores: ['@temporalio/client', '@temporalio/activity', 'src/activities/a.ts', 'src/runtime/a.ts'],
  workers: ['src/workflows/a.ts', 'src/client/a.ts', 'src/cli/a.ts', 'src/gateway/a.ts'],
  client: ['pg', 'kysely', '@temporalio/worker', 'src/stores/a.ts', 'src/activities/a.ts', 'src/workers/a.ts'],
  agents: ['@temporalio/client', '@temporalio/workflow', 'src/stores/a.ts', 'src/activities/a.ts', 'src/runtime/a.ts'],
};

describe('layers', () => {
  let reports: readonly Report[];

  before(async () => {
    reports = await lintPlanted(plantedFiles());
  });

  for (const layer of layerNames) {
    for (const kind of ['value', 'type'] as const) {
      const allowed = targets.filter((target) => isAllowed(layer, target, kind)).map(nameOf);
      it(`${layer}: reports ${targets.length - allowed.length} ${kind} imports and accepts ${allowed.length}`, () => {
        const lines = new Set(reportsOf(pairFile(layer, kind)).map(({ line }) => line));
        const accepted = targets.filter((_, index) => !lines.has(index + 1)).map(nameOf);
        assert.deepEqual(accepted, allowed);
      });
    }
  }

  for (const form of Object.keys(forbiddenForms)) {
    it(`reports ${form}`, () => assert.equal(reportsOf(formFile(form)).length, 1));
  }

  for (const form of Object.keys(allowedForms)) {
    it(`accepts ${form}`, () => assert.deepEqual(reportsOf(formFile(form)), []));
  }

  it('accepts a dynamic import of a computed path where agents are loaded', () => {
    assert.deepEqual(reportsOf('src/workers/computed.ts'), []);
  });

  it('reports a file of src that is in no layer', () => {
    assert.match(reportsOf('src/new-folder/a.ts')[0]?.message ?? '', /is in no layer/u);
  });

  it('leaves tests, scripts and benchmarks free', () => {
    assert.deepEqual(reportsOf('test/a.ts'), []);
  });

  it('says what to do', () => {
    const messages = reportsOf(pairFile('workflows', 'value')).map(({ message }) => message);
    assert.ok(
      messages.some((message) => message.startsWith('workflows may not use stores. Workflow code is replayed')),
    );
    assert.ok(messages.some((message) => message.includes('only types of activities: write `import type`.')));
    assert.ok(messages.every((message) => message.includes('Allowed: domain, @temporalio/workflow; only types of')));
  });

  function reportsOf(file: string): readonly Report[] {
    return reports.filter((report) => report.file === file && report.rule === 'perdure(layers)');
  }
});

describe('the import table', () => {
  for (const [layer, names] of Object.entries(neverOpened)) {
    it(`never opens ${names.join(', ')} to ${layer}`, () => {
      const pinned = targets.filter(({ name }) => names.includes(name));
      assert.equal(pinned.length, names.length);
      assert.deepEqual(pinned.filter((target) => isAllowed(layer as LayerName, target, 'value')).map(nameOf), []);
    });
  }
});

/** Reads the table without the code under test: each target knows the entries that would allow it. */
function isAllowed(layer: LayerName, { entries }: Target, kind: Kind): boolean {
  const { values, types } = layers[layer];
  const row: readonly string[] = kind === 'type' ? [layer, ...values, ...types] : [layer, ...values];
  return entries.some((entry) => row.includes(entry));
}

function nameOf({ name }: Target): string {
  return name;
}

function plantedFiles(): ReadonlyMap<string, string> {
  const pairs = layerNames.flatMap((layer) =>
    (['value', 'type'] as const).map((kind) => [pairFile(layer, kind), pairText(layer, kind)] as const),
  );
  const forms = Object.entries({ ...forbiddenForms, ...allowedForms }).map(
    ([form, text]) => [formFile(form), `${text}\n`] as const,
  );
  return new Map([
    ...pairs,
    ...forms,
    ['src/workers/computed.ts', `export const load = (path: string) => import(path);\n`],
    ['src/new-folder/a.ts', 'export const a = 1;\n'],
    ['test/a.ts', `import '../src/stores/a.ts';\nimport 'pg';\n`],
  ]);
}

/** One import a line, in the order of `targets`. */
function pairText(layer: LayerName, kind: Kind): string {
  const keyword = kind === 'type' ? 'import type' : 'import';
  const lines = targets.map((target, index) => `${keyword} * as a${index} from '${target.specifierFrom(layer)}';`);
  return `${lines.join('\n')}\n`;
}

function pairFile(layer: LayerName, kind: Kind): string {
  return `${layers[layer].folder}/planted/${kind}s.ts`;
}

function formFile(form: string): string {
  return `src/workflows/${form.replaceAll(/\W+/gu, '-')}.ts`;
}
