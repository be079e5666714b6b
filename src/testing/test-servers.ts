import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory } from '../cli/dev-stack/cache-directory.ts';
import { findTemporalBinary } from '../cli/dev-stack/find-temporal-binary.ts';
import { freePort } from '../cli/dev-stack/free-port.ts';
import { connectLocally } from '../cli/dev-stack/local-connection.ts';
import { identifyProcess, isProcessAlive, type ProcessIdentity } from '../cli/dev-stack/process-identity.ts';
import { registerSearchAttributes } from '../cli/dev-stack/register-search-attributes.ts';
import { startPostgres } from '../cli/dev-stack/start-postgres.ts';
import { startTemporalServer } from '../cli/dev-stack/start-temporal-server.ts';

/** The servers that all tests of a mocha process share. */
export type TestServers = {
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly postgres: {
    /** The address of the database `perdure`; a test that changes its schema makes a database of its own. */
    readonly url: string;
  };
};

const folderPrefix = 'perdure-test-';
const namespace = 'perdure-test';
const report = (line: string): void => console.error(line);

let servers: Promise<TestServers> | null = null;
const started: ProcessIdentity[] = [];
const folders: string[] = [];

/**
 * Starts Temporal (in memory, search attributes registered) and PostgreSQL (a new folder) once per process, whatever
 * the environment names, and gives the same servers to everybody. They end with the process.
 */
export function startTestServers(): Promise<TestServers> {
  servers ??= startBoth();
  return servers;
}

/** Makes a folder that PostgreSQL's account can enter; it is removed when the process ends. */
export async function testFolder(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), folderPrefix));
  folders.push(folder);
  writeFileSync(join(folder, 'owner.json'), JSON.stringify(identifyProcess(process.pid)));
  await chmod(folder, 0o755);
  return folder;
}

/** Finds the Temporal CLI for a test. */
export function testTemporalBinary(): Promise<string> {
  return findTemporalBinary({ cacheDir: cacheDirectory(process.env), env: process.env, report, forTests: true });
}

/** Remembers a server, so that it ends with this process at the latest, or with the next one after a kill. */
export function endWithTests(folder: string, server: ProcessIdentity): void {
  started.push({ pid: server.pid, startedAt: server.startedAt });
  writeFileSync(join(folder, 'servers.json'), JSON.stringify(started));
}

async function startBoth(): Promise<TestServers> {
  endLeftServers();
  const folder = await testFolder();
  const onSpawn = (server: ProcessIdentity): void => endWithTests(folder, server);
  const [temporal, postgres] = await Promise.all([
    testTemporalBinary().then(async (binary) =>
      startTemporalServer({
        binary,
        dataFile: null,
        port: await freePort(0),
        uiPort: null,
        namespace,
        log: join(folder, 'temporal.log'),
        onSpawn,
      }),
    ),
    startPostgres({ dataDir: join(folder, 'postgres'), port: await freePort(0), report, onSpawn }),
  ]);
  const connection = connectLocally(temporal.address);
  await registerSearchAttributes(connection, namespace);
  await connection.close();
  return { temporal: { address: temporal.address, namespace }, postgres: { url: postgres.url } };
}

/** Ends what a test process left that was killed before it could. */
function endLeftServers(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(folderPrefix))) {
    const folder = join(tmpdir(), name);
    const owner = readJson(join(folder, 'owner.json')) as ProcessIdentity | null;
    if (owner === null || isProcessAlive(owner)) continue;
    endAll((readJson(join(folder, 'servers.json')) ?? []) as readonly ProcessIdentity[]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** Ends servers at once: their data goes with them. */
function endAll(ended: readonly ProcessIdentity[]): void {
  for (const server of ended.filter(isProcessAlive)) {
    try {
      process.kill(-server.pid, 'SIGKILL');
    } catch {
      // It ended in between.
    }
  }
}

process.once('exit', () => {
  endAll(started);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
