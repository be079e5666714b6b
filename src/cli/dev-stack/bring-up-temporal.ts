import { join } from 'node:path';
import { cacheDirectory } from './cache-directory.ts';
import { defaultNamespace, useConfiguredTemporal } from './configured-servers.ts';
import { findTemporalBinary } from './find-temporal-binary.ts';
import { reportedPort } from './free-port.ts';
import { connectLocally, servesNamespace } from './local-connection.ts';
import { isProcessAlive } from './process-identity.ts';
import { startTemporalServer, stopTemporalServer } from './start-temporal-server.ts';
import type { Own, PartRequest, StackTemporal } from './stack.ts';
import { isAbandoned, ownIdentity, readStackState, writeStackState, type RecordedTemporal } from './stack-state.ts';

const defaultPort = 7233;
const defaultUiPort = 8233;

/** Brings up the Temporal server of a stack and calls `own` when this process has to stop it. */
export async function bringUpTemporal(request: PartRequest, own: Own): Promise<StackTemporal> {
  const configured = request.forTests === true ? null : await useConfiguredTemporal(request.env);
  if (configured !== null) return { ...configured, uiUrl: null, owned: false, source: 'configured' };
  return (await findRunning(request, own)) ?? startNew(request, own);
}

async function findRunning({ stateFile, report }: PartRequest, own: Own): Promise<StackTemporal | null> {
  const state = readStackState(stateFile);
  const recorded = state.temporal;
  if (recorded === undefined || !isProcessAlive(recorded.process)) return null;
  if (!(await doesServe(recorded))) {
    report(
      `the Temporal server at ${recorded.address} (process ${recorded.process.pid}) does not answer; replacing it`,
    );
    await stopTemporalServer(recorded.process);
    return null;
  }
  const { address, namespace, uiUrl } = recorded;
  const owned = isAbandoned(recorded);
  report(`using the Temporal server that runs at ${address}`);
  if (owned) {
    writeStackState(stateFile, { ...state, temporal: { ...recorded, owner: ownIdentity() } });
    own(recorded.process);
  }
  return { address, namespace, uiUrl, owned, source: 'found' };
}

async function doesServe({ address, namespace }: RecordedTemporal): Promise<boolean> {
  const connection = connectLocally(address);
  try {
    return await servesNamespace(connection, namespace);
  } finally {
    await connection.close();
  }
}

async function startNew(request: PartRequest, own: Own): Promise<StackTemporal> {
  const { dataDir, env, report, forTests = false, stateFile } = request;
  const binary = await findTemporalBinary({ cacheDir: cacheDirectory(env), env, report, forTests });
  const port = await reportedPort('Temporal', forTests ? 0 : defaultPort, report);
  const uiPort = await reportedPort('Temporal Web UI', forTests ? 0 : defaultUiPort, report);
  const namespace = defaultNamespace;
  const { address, uiUrl } = await startTemporalServer({
    binary,
    port,
    uiPort,
    namespace,
    dataFile: join(dataDir, 'temporal.db'),
    log: join(dataDir, 'temporal.log'),
    onSpawn: (server) => {
      const recorded = { process: server, owner: ownIdentity(), namespace };
      const addresses = { address: `127.0.0.1:${port}`, uiUrl: `http://127.0.0.1:${uiPort}` };
      writeStackState(stateFile, { ...readStackState(stateFile), temporal: { ...recorded, ...addresses } });
      own(server);
    },
  });
  return { address, namespace, uiUrl, owned: true, source: 'started' };
}
