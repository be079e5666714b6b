import { join, resolve } from 'node:path';
import { bringUpPostgres } from './bring-up-postgres.ts';
import { bringUpTemporal } from './bring-up-temporal.ts';
import { withMachineLock } from './machine-lock.ts';
import { isProcessAlive, type ProcessIdentity } from './process-identity.ts';
import { requireUsableFolder } from './require-usable-folder.ts';
import type { DevStack, StackRequest } from './stack.ts';
import { stopPostgres } from './start-postgres.ts';
import { stopTemporalServer } from './start-temporal-server.ts';
import { readStackState, writeStackState } from './stack-state.ts';

/**
 * Brings up Temporal and PostgreSQL for a data folder: the ones that the environment names, the ones that run already,
 * or new ones. Two processes that start at the same time end up with one stack.
 *
 * @throws one clear message when a server cannot be had, or the signal's reason; servers started until then are stopped.
 */
export async function bringUp(request: StackRequest): Promise<DevStack> {
  const dataDir = resolve(request.dataDir);
  await requireUsableFolder(dataDir);
  const stateFile = join(dataDir, 'dev-stack.json');
  const lock = { path: `${stateFile}.lock`, activity: 'starting the servers', report: request.report };
  return withMachineLock(lock, async () => {
    const owned: Ownership = { temporal: null, postgres: null };
    const stop = (): Promise<void> => stopOwned(stateFile, owned);
    try {
      const part = { ...request, dataDir, stateFile };
      request.signal?.throwIfAborted();
      const temporal = await bringUpTemporal(part, (server) => (owned.temporal = server));
      request.signal?.throwIfAborted();
      const postgres = await bringUpPostgres(part, (server) => (owned.postgres = server));
      request.signal?.throwIfAborted();
      return { temporal, postgres, stop };
    } catch (error) {
      await stop();
      request.signal?.throwIfAborted();
      throw error;
    }
  });
}

/** What is ours to stop; set as soon as a server's process exists. */
type Ownership = { temporal: ProcessIdentity | null; postgres: ProcessIdentity | null };

async function stopOwned(stateFile: string, owned: Ownership): Promise<void> {
  const { temporal, postgres } = owned;
  owned.temporal = null;
  owned.postgres = null;
  if (temporal !== null) await stopTemporalServer(temporal);
  if (postgres !== null) await stopPostgres(postgres);
  if (temporal !== null || postgres !== null) forgetEnded(stateFile);
}

/** Removes from the state file what no longer runs. */
function forgetEnded(stateFile: string): void {
  const { temporal, postgres } = readStackState(stateFile);
  writeStackState(stateFile, {
    ...(temporal !== undefined && isProcessAlive(temporal.process) ? { temporal } : {}),
    ...(postgres !== undefined && isProcessAlive(postgres.process) ? { postgres } : {}),
  });
}
