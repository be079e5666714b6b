/**
 * Goal: what fails or differs on replay is refused in workflow and domain code before it runs.
 * Method: plants one use per global and layer in an empty tree, lints it once, and reads the reports of each file.
 */
import assert from 'node:assert/strict';
import { lintPlanted, type Report } from './planted-tree.ts';

const inBoth = {
  Buffer: `Buffer.from('a')`,
  console: `console.log('a')`,
  crypto: 'crypto.randomUUID()',
  fetch: `fetch('https://example.com')`,
  'fetch of globalThis': `globalThis.fetch('https://example.com')`,
  FinalizationRegistry: 'new FinalizationRegistry(() => undefined)',
  performance: 'performance.now()',
  process: 'process.env',
  'process of global': 'global.process.env',
  queueMicrotask: 'queueMicrotask(() => undefined)',
  setImmediate: 'setImmediate(() => undefined)',
  setInterval: 'setInterval(() => undefined, 1)',
  structuredClone: 'structuredClone({})',
  WeakRef: 'new WeakRef({})',
};

const forbidden: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'src/workflows': inBoth,
  'src/domain/run': {
    ...inBoth,
    'Date.now': 'Date.now()',
    'new Date': 'new Date()',
    'Math.random': 'Math.random()',
    setTimeout: 'setTimeout(() => undefined, 1)',
  },
  'src/domain/schemas': { 'Date.now': 'Date.now()', 'Math.random': 'Math.random()', process: 'process.env' },
};

const allowed: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'src/workflows': { 'Date.now': 'Date.now()', 'Math.random': 'Math.random()', 'a field': '({ process: 1 }).process' },
  'src/domain/run': { 'Math.max': 'Math.max(1, 2)', 'a local name': '((crypto: number) => crypto)(1)' },
  'src/activities': { fetch: `fetch('https://example.com')`, 'Date.now': 'Date.now()', crypto: 'crypto.randomUUID()' },
  'src/runtime': { process: 'process.env', setInterval: 'setInterval(() => undefined, 1)' },
};

describe('determinism', () => {
  let reports: readonly Report[];

  before(async () => {
    reports = await lintPlanted(new Map([...plant('forbidden', forbidden), ...plant('allowed', allowed)]));
  });

  for (const [folder, cases] of Object.entries(forbidden)) {
    for (const name of Object.keys(cases)) {
      it(`reports ${name} in ${folder}`, () =>
        assert.equal(restrictionsIn(fileOf(folder, 'forbidden', name)).length, 1));
    }
  }

  for (const [folder, cases] of Object.entries(allowed)) {
    for (const name of Object.keys(cases)) {
      it(`accepts ${name} in ${folder}`, () => assert.deepEqual(restrictionsIn(fileOf(folder, 'allowed', name)), []));
    }
  }

  function restrictionsIn(file: string): readonly Report[] {
    return reports.filter((report) => report.file === file && report.rule.includes('no-restricted-'));
  }
});

type Cases = Readonly<Record<string, Readonly<Record<string, string>>>>;

function plant(group: string, byFolder: Cases): readonly (readonly [string, string])[] {
  return Object.entries(byFolder).flatMap(([folder, cases]) =>
    Object.entries(cases).map(([name, use]) => [fileOf(folder, group, name), `export const used = ${use};\n`] as const),
  );
}

function fileOf(folder: string, group: string, name: string): string {
  return `${folder}/${group}/${name.replaceAll(' ', '-')}.ts`;
}
