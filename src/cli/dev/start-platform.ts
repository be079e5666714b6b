import type { Agent } from '../../authoring/define-agent.ts';
import { type ListenAddress, readWorkerConfig } from '../../runtime/config.ts';
import { createLogger } from '../../runtime/logger.ts';
import { openTelemetry } from '../open-telemetry.ts';
import { openDatabase } from '../../stores/database.ts';
import { migrate } from '../../stores/migrate.ts';
import { METRICS_PORT } from '../../workers/metrics/serve.ts';
import { startWorkers, type Workers } from '../../workers/start-workers.ts';
import type { Cli } from '../cli.ts';
import { bringUp } from '../dev-stack/bring-up.ts';
import { reportedPort } from '../dev-stack/free-port.ts';
import { connectLazily } from '../../runtime/connection.ts';
import { registerSearchAttributes } from '../dev-stack/register-search-attributes.ts';
import { configuredTemporal, dataDirectory, localTemporal, type TemporalPlace } from '../find-servers.ts';

/** Servers, tables and workers, ready for runs. */
export type Platform = {
  readonly temporal: TemporalPlace;
  readonly databaseUrl: string;
  readonly workers: Workers;
};

/** Receives what has to be stopped; it is called in the order of starting. */
export type OnStarted = (what: string, stop: () => Promise<void>) => void;

/**
 * Brings up servers, tables and the workers of all roles in this process.
 *
 * @throws what failed; `onStarted` has then heard of everything that runs.
 */
export async function startPlatform(
  cli: Cli,
  agents: ReadonlyMap<string, Agent>,
  { signal, onStarted }: { readonly signal: AbortSignal; readonly onStarted: OnStarted },
): Promise<Platform> {
  const stack = await bringUp({ dataDir: dataDirectory(cli.cwd), env: cli.env, report: cli.say, signal });
  onStarted('servers', stack.stop);
  const temporal =
    stack.temporal.source === 'configured'
      ? (configuredTemporal(cli.env) ?? localTemporal(stack.temporal))
      : localTemporal(stack.temporal);
  const databaseUrl = stack.postgres.url;
  await prepareServers(temporal, databaseUrl);
  signal.throwIfAborted();
  const env = { ...cli.env, DATABASE_URL: databaseUrl };
  const read = readWorkerConfig({ PERDURE_LOG_LEVEL: 'error', ...env, PERDURE_ROLES: '' });
  const config = { ...read, metricsAddress: read.metricsAddress ?? (await metricsAddress(cli)) };
  const { address, tls, apiKey, metadata } = temporal.connectionOptions;
  const connectionOptions = {
    ...(address === undefined ? {} : { address }),
    ...(tls === undefined ? {} : { tls }),
    ...(typeof apiKey === 'string' ? { apiKey } : {}),
    ...(metadata === undefined ? {} : { metadata: metadata as Record<string, string> }),
  };
  const workers = await startWorkers({
    config,
    temporal: { connectionOptions, namespace: temporal.namespace },
    agents,
    env,
    logger: createLogger(config.logLevel),
    telemetry: await openTelemetry(cli),
  });
  onStarted('workers', workers.shutdown);
  return { temporal, databaseUrl, workers };
}

async function metricsAddress({ say }: Cli): Promise<ListenAddress> {
  return { host: '127.0.0.1', port: await reportedPort('the metrics endpoint', METRICS_PORT, say) };
}

/** Brings the namespace and the database to what this version needs. */
async function prepareServers({ connectionOptions, namespace }: TemporalPlace, databaseUrl: string): Promise<void> {
  const db = openDatabase(databaseUrl, () => undefined);
  const connection = connectLazily(connectionOptions);
  try {
    await registerSearchAttributes(connection, namespace);
    await migrate(db);
  } finally {
    await connection.close();
    await db.destroy();
  }
}
