import { testTemporalBinary } from './test-servers.ts';

/**
 * Gets the Temporal server before any test begins, once per machine: where it has to be built that takes minutes, and no test's time limit
 * may run meanwhile. mocha calls it once when it is started with `--require perdure/testing`.
 */
export async function mochaGlobalSetup(): Promise<void> {
  await testTemporalBinary();
}
