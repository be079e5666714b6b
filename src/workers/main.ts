import { temporalTarget } from '../runtime/connection.ts';
import { ConfigurationError, readWorkerConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/logger.ts';
import { openDatabase } from '../stores/database.ts';
import { migrate } from '../stores/migrate.ts';
import { loadAgents } from './load-agents.ts';
import { startWorkers } from './start-workers.ts';

/** Runs workers until SIGTERM or SIGINT. What is in flight gets its grace time; a second signal ends the process at once. */
async function main(): Promise<void> {
  const config = readWorkerConfig(process.env);
  const logger = createLogger(config.logLevel);
  const db = openDatabase(config.databaseUrl, (error) => logger.warn({ err: error }, 'a database connection broke'));
  await migrate(db);
  await db.destroy();
  const agents = await loadAgents(config.agentsDirectory);
  const workers = await startWorkers({ config, temporal: temporalTarget(), agents, env: process.env, logger });
  process.stderr.write(`workers ready: ${config.roles.join(', ')}; agents: ${[...agents.keys()].join(', ')}\n`);
  let isStopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      workers.shutdown().catch((error: unknown) => logger.error({ err: error }, 'shutdown failed'));
    });
  }
  await workers.finished;
}

try {
  await main();
} catch (error) {
  const isExpected = error instanceof ConfigurationError;
  process.stderr.write(`${isExpected ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exitCode = isExpected ? 2 : 1;
}
