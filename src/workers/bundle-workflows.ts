import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

/** `traced` has the interceptors that write spans. */
export type BundleKind = 'plain' | 'traced';

/** Where the package ships its bundles, from its `dist`: under node_modules the bundler strips no types. */
export const BUILT_BUNDLES = {
  plain: 'workflow-bundle.js',
  traced: 'workflow-bundle-traced.js',
} as const satisfies Record<BundleKind, string>;

/** Path of the only file that the bundler loads. */
const WORKFLOWS_PATH = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));

/** Path of what a worker that traces bundles besides. */
const INTERCEPTORS_PATH = fileURLToPath(new URL('../workflows/traced/interceptors.ts', import.meta.url));

const bundles = new Map<BundleKind, Promise<WorkflowBundleWithSourceMap>>();

/** Bundles the workflow code, once per process and kind: it takes one to two seconds. The package's own bundles are only read. */
export async function bundleWorkflows(kind: BundleKind = 'plain'): Promise<WorkflowBundleWithSourceMap> {
  const bundle = bundles.get(kind) ?? readBuilt(kind) ?? makeBundle(kind);
  bundles.set(kind, bundle);
  return bundle;
}

/** A checkout has none and bundles its code. */
function readBuilt(kind: BundleKind): Promise<WorkflowBundleWithSourceMap> | null {
  const path = fileURLToPath(new URL(`../${BUILT_BUNDLES[kind]}`, import.meta.url));
  return existsSync(path) ? Promise.resolve({ code: readFileSync(path, 'utf8'), sourceMap: '' }) : null;
}

function makeBundle(kind: BundleKind): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    workflowInterceptorModules: kind === 'traced' ? [INTERCEPTORS_PATH] : [],
    logger: new DefaultLogger('WARN', () => undefined),
  });
}
