import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { layers, type LayerName } from '../../scripts/layers.ts';

/** Something to import, and the entries of the import table that would each allow it. */
export interface Target {
  readonly name: string;
  readonly entries: readonly string[];
  /** What to write in a file of `<layer>/planted/`. */
  readonly specifierFrom: (layer: LayerName) => string;
}

export const layerNames = Object.keys(layers) as readonly LayerName[];

const packageJson = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

const packages = [
  ...Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies }),
  '@opentelemetry/api',
  'hono',
  'some-unknown-package',
];

/** Each layer, each package of package.json, and what lies between them. */
export const targets: readonly Target[] = [
  ...layerNames.map((name) => file(`${layers[name].folder}/a.ts`, name)),
  file('src/domain/run/a.ts', 'domain'),
  file('src/runtime/connection.ts', 'runtime', 'src/runtime/connection.ts'),
  file('src/workflows/agent-run.messages.ts', 'workflows', 'src/workflows/*.messages.ts'),
  file('src/cli/dev-stack/a.ts', 'cli', 'src/cli/dev-stack/*'),
  file('src/cli/replay/a.ts', 'cli', 'src/cli/replay/*'),
  file('src/new-folder/a.ts'),
  file('src/a.ts'),
  file('test/a.ts'),
  file('package.json', 'package.json'),
  file('../outside.ts'),
  ...packages.map((name) => bare(name, name, `${name.split('/')[0]}/*`, 'any package')),
  ...['authoring', 'stores', 'runtime', 'client'].map((name) => bare(name, 'any package')), // packages, not our layers
  bare('zod/v4', 'zod', 'any package'),
  bare('zodiac', 'any package'),
  bare('@ai-sdk/provider/test', '@ai-sdk/*', 'any package'),
  bare('@temporalio/common/lib/time', '@temporalio/common', 'any package'),
  ...['node:crypto', 'node:fs', 'node:timers/promises'].map((name) => bare(name, name, 'node:*', 'any package')),
  bare('crypto', 'node:crypto', 'node:*', 'any package'),
  bare('fs', 'node:*', 'any package'),
  ...['#alias', '/absolute/a.ts', 'file:///absolute/a.ts', 'data:text/javascript,0'].map((name) => bare(name)),
];

function file(path: string, ...entries: readonly string[]): Target {
  return { name: path, entries, specifierFrom: (layer) => relative(`${layers[layer].folder}/planted`, path) };
}

function bare(specifier: string, ...entries: readonly string[]): Target {
  return { name: specifier, entries, specifierFrom: () => specifier };
}

function relative(folder: string, path: string): string {
  const steps = posix.relative(folder, path);
  return steps.startsWith('.') ? steps : `./${steps}`;
}
