import type { Connection } from '@temporalio/client';
import { connectToTemporal } from '../../src/runtime/connection.ts';
import { createClient, type ClientSetup, type PerdureClient } from '../../src/client/index.ts';
import { readWorkerConfig } from '../../src/runtime/config.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openDatabase } from '../../src/stores/database.ts';
import { migrate } from '../../src/stores/migrate.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { createStores, type Stores } from '../../src/stores/stores.ts';
import { loadAgents } from '../../src/workers/load-agents.ts';
import { startWorkers, type Workers } from '../../src/workers/start-workers.ts';
import { startTestServers, type TestServers } from '../support/servers.ts';

/** Servers with tables, stores on them, and what makes clients and workers. */
export type Platform = {
  readonly servers: TestServers;
  readonly stores: Stores;
  readonly connection: Connection;
  readonly reader: ReturnType<typeof createRunReader>;
  readonly connectClient: (setup: Partial<ClientSetup> & { readonly queuePrefix: string }) => PerdureClient;
  /** Starts workers of all roles with the reference agents, or those of another folder, on task queues of their own. */
  readonly startWorkers: (queuePrefix: string, agentsDirectory?: string) => Promise<Workers>;
  readonly close: () => Promise<void>;
};

/** Opens the servers that all tests share. */
export async function openPlatform(): Promise<Platform> {
  const servers = await startTestServers();
  const { address, namespace } = servers.temporal;
  const stores = createStores(openDatabase(servers.postgres.url, () => undefined));
  await migrate(stores.db);
  const connection = await connectToTemporal({ address, channelArgs: { 'grpc.enable_http_proxy': 0 } });
  const reader = createRunReader(stores);
  return {
    servers,
    stores,
    connection,
    reader,
    connectClient: ({ queuePrefix, ...setup }) =>
      createClient({
        connection,
        namespace,
        reader,
        taskQueue: `${queuePrefix}-agents`,
        principal: 'tester',
        // A busy machine may take its time: what is tested is the answer.
        answerMs: 20_000,
        ...setup,
      }),
    startWorkers: async (queuePrefix, agentsDirectory = 'agents') => {
      const env = { DATABASE_URL: servers.postgres.url, PERDURE_QUEUE_PREFIX: queuePrefix, PERDURE_LOG_LEVEL: 'fatal' };
      const config = readWorkerConfig(env);
      const temporal = { connectionOptions: { address }, namespace };
      const agents = await loadAgents(agentsDirectory);
      return startWorkers({ config, temporal, agents, env, logger: createLogger('fatal') });
    },
    close: async () => {
      await connection.close();
      await stores.db.destroy();
    },
  };
}

/** Far above what anything takes, so that a hang is reported with its name even on a busy machine. */
const PATIENCE_MS = 60_000;

/** Waits until something holds. */
export async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not happen within ${PATIENCE_MS / 1000} s`);
}
