/**
 * The import table: who may import whom. It is an allow-list, so what a row does not name is forbidden. The lint rule
 * `perdure/layers` reads it (`oxlint-plugin.ts`), and `test/layers` plants a case for every pair of it.
 */
export interface Layer {
  /** Its folder, from the repository's root. The longest folder that fits a file is the file's layer. */
  readonly folder: string;
  /** What may be imported and run. A layer may always use itself. */
  readonly values: readonly Entry[];
  /** What may be imported with `import type` only, besides `values`. */
  readonly types: readonly Entry[];
  /** What to do instead of a forbidden import. */
  readonly advice: string;
  /** Set where modules are found at run time and `import(path)` is therefore allowed. */
  readonly importsByPath?: true;
}

/**
 * - a layer of this table,
 * - one file, or the files with one ending (`src/runtime/connection.ts`, `src/workflows/*.messages.ts`),
 * - an npm package with its subpaths, or a whole scope (`zod`, `@ai-sdk/*`),
 * - a Node module, or all of them (`node:crypto`, `node:*`),
 * - `any package`: every npm package and every Node module.
 */
export type Entry = LayerName | `src/${string}` | 'package.json' | Package | `node:${string}` | 'any package';

export type LayerName =
  | 'agents'
  | 'domain'
  | 'domain/schemas'
  | 'authoring'
  | 'workflows'
  | 'workflows/traced'
  | 'activities'
  | 'stores'
  | 'runtime'
  | 'workers'
  | 'client'
  | 'gateway'
  | 'testing'
  | 'cli'
  | 'console';

type Package = 'cockatiel' | 'hono' | 'kysely' | 'pg' | 'pino' | 'standardwebhooks' | 'zod' | `@${string}/${string}`;

const everyLayerBelowTheEntryPoints = [
  'agents',
  'domain',
  'domain/schemas',
  'authoring',
  'activities',
  'stores',
  'runtime',
] as const satisfies readonly LayerName[];

export const layers: Readonly<Record<LayerName, Layer>> = {
  agents: {
    folder: 'agents',
    values: ['authoring', 'zod', 'pg', 'node:*'],
    types: [],
    advice: 'An agent is a value: use what src/authoring exports.',
  },
  domain: {
    folder: 'src/domain',
    values: [],
    types: [],
    advice: 'The core is pure: take the value as an argument, and put zod schemas into src/domain/schemas.',
  },
  'domain/schemas': {
    folder: 'src/domain/schemas',
    values: ['zod'],
    types: ['domain'],
    advice: 'Schemas only describe: take types of the domain, and put rules into src/domain.',
  },
  authoring: {
    folder: 'src/authoring',
    values: ['zod', 'domain', 'domain/schemas'],
    types: [],
    advice: 'Authoring builds values: let a worker or an activity do the work.',
  },
  workflows: {
    folder: 'src/workflows',
    values: ['domain', '@temporalio/workflow'],
    types: ['activities', 'domain/schemas', '@temporalio/common'],
    advice: 'Workflow code is replayed: do it in an activity and call that through proxyActivities.',
  },
  'workflows/traced': {
    folder: 'src/workflows/traced',
    values: ['domain', '@temporalio/workflow', '@temporalio/interceptors-opentelemetry-v2', '@opentelemetry/api'],
    types: ['@temporalio/common'],
    advice: 'Interceptors of workflow code are replayed: hand what is found to a sink.',
  },
  activities: {
    folder: 'src/activities',
    values: [
      'domain',
      'domain/schemas',
      'stores',
      '@temporalio/activity',
      '@temporalio/common',
      '@ai-sdk/*',
      'cockatiel',
      'node:crypto',
      'zod',
    ],
    types: ['runtime', 'authoring'],
    advice: 'Take the value as a dependency of createActivities; the worker passes it in.',
  },
  stores: {
    folder: 'src/stores',
    values: ['domain', 'domain/schemas', 'kysely', 'pg', 'node:crypto'],
    types: [],
    advice: 'A store only reads and writes rows: take the value as an argument.',
  },
  runtime: {
    folder: 'src/runtime',
    values: [
      'domain',
      'domain/schemas',
      '@temporalio/client',
      '@temporalio/worker',
      '@temporalio/common',
      '@temporalio/envconfig',
      '@temporalio/interceptors-opentelemetry-v2',
      '@opentelemetry/*',
      'pino',
      'node:*',
    ],
    types: [],
    advice: 'The runtime is what any process needs: move the rest to src/workers or src/cli.',
  },
  workers: {
    folder: 'src/workers',
    values: [...everyLayerBelowTheEntryPoints, 'any package'],
    types: [],
    advice:
      'Name workflows by their path (workflowsPath, or the bundle); the top layers start workers, not the reverse.',
    importsByPath: true,
  },
  client: {
    folder: 'src/client',
    values: [
      'domain',
      'domain/schemas',
      'src/runtime/connection.ts',
      'src/workflows/*.messages.ts',
      '@temporalio/client',
      '@temporalio/common',
      'standardwebhooks',
      'node:crypto',
    ],
    types: ['workflows'],
    advice: 'The client talks to the server only: declare a port (a type) and let the caller pass the adapter in.',
  },
  gateway: {
    folder: 'src/gateway',
    values: ['client', 'stores', 'runtime', 'domain', 'domain/schemas', 'hono'],
    types: [],
    advice: 'The gateway serves what src/client and src/stores offer: add it there.',
  },
  testing: {
    folder: 'src/testing',
    values: [
      ...everyLayerBelowTheEntryPoints,
      'workers',
      'client',
      'src/cli/dev-stack/*',
      'src/cli/replay/*',
      '@temporalio/client',
      '@temporalio/common',
      'node:*',
    ],
    types: [],
    advice: 'It is what users test with: servers and replay come from src/cli, and nothing of ours is tested in here.',
  },
  cli: {
    folder: 'src/cli',
    values: [
      ...everyLayerBelowTheEntryPoints,
      'workflows',
      'workers',
      'client',
      'gateway',
      'package.json',
      'any package',
    ],
    types: [],
    advice: 'The console is a program of its own: start it by its path.',
    importsByPath: true,
  },
  console: {
    folder: 'src/console',
    values: ['domain/schemas'],
    types: ['domain', 'gateway'],
    advice: 'The console runs in a browser: ask the gateway.',
  },
};
