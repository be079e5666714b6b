import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

let bundle: Promise<WorkflowBundleWithSourceMap> | null = null;

/** Path of the only file that the bundler loads. */
const WORKFLOWS_PATH = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));

/** The bundle that the package ships: under node_modules the bundler strips no types. A checkout has none here and bundles its code. */
const BUILT_PATH = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));

/** Bundles the workflow code, once per process: it takes one to two seconds. The package's own bundle is only read. */
export async function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  bundle ??= existsSync(BUILT_PATH)
    ? Promise.resolve({ code: readFileSync(BUILT_PATH, 'utf8'), sourceMap: '' })
    : bundleWorkflowCode({ workflowsPath: WORKFLOWS_PATH, logger: new DefaultLogger('WARN', () => undefined) });
  return bundle;
}
