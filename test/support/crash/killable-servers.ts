import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../src/cli/dev-stack/free-port.ts';
import { connectLocally } from '../../../src/cli/dev-stack/local-connection.ts';
import { isProcessAlive, type ProcessIdentity } from '../../../src/cli/dev-stack/process-identity.ts';
import { registerSearchAttributes } from '../../../src/cli/dev-stack/register-search-attributes.ts';
import { startPostgres } from '../../../src/cli/dev-stack/start-postgres.ts';
import { startTemporalServer } from '../../../src/cli/dev-stack/start-temporal-server.ts';
import { endWithTests, testFolder, testTemporalBinary, type TestServers } from '../servers.ts';

/** A server that can be killed and comes back at the same port with the same data. */
export type Killable = {
  /** Ends it as a power cut would. */
  readonly kill: () => Promise<void>;
  readonly restart: () => Promise<void>;
};

export type KillableServers = TestServers & {
  readonly killable: { readonly temporal: Killable; readonly postgres: Killable };
};

const namespace = 'perdure-crash';

/** Starts a Temporal server on a data file and a PostgreSQL, both to be killed. */
export async function startKillableServers(): Promise<KillableServers> {
  const folder = await testFolder();
  const onSpawn = (server: ProcessIdentity): void => endWithTests(folder, server);
  const [binary, temporalPort, postgresPort] = await Promise.all([testTemporalBinary(), freePort(0), freePort(0)]);
  const temporal = await killable(() =>
    startTemporalServer({
      binary,
      dataFile: join(folder, 'temporal.db'),
      port: temporalPort,
      uiPort: null,
      namespace,
      log: join(folder, 'temporal.log'),
      onSpawn,
    }),
  );
  const postgres = await killable(() =>
    startPostgres({ dataDir: join(folder, 'postgres'), port: postgresPort, onSpawn }),
  );
  const connection = connectLocally(temporal.first.address);
  await registerSearchAttributes(connection, namespace);
  await connection.close();
  return {
    temporal: { address: temporal.first.address, namespace },
    postgres: { url: postgres.first.url },
    killable: { temporal, postgres },
  };
}

async function killable<Server extends ProcessIdentity>(
  start: () => Promise<Server>,
): Promise<Killable & { readonly first: Server }> {
  const first = await start();
  let server = first;
  return {
    first,
    kill: async () => {
      process.kill(-server.pid, 'SIGKILL');
      while (isProcessAlive(server)) await sleep(10);
    },
    restart: async () => {
      server = await start();
    },
  };
}
