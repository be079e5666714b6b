import { temporalTarget } from '../runtime/connection.ts';
import { ConfigurationError, readWorkerConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/logger.ts';
import { startTelemetry } from '../runtime/telemetry.ts';
import { openDatabase } from '../stores/database.ts';
import { migrate } from '../stores/migrate.ts';
import { loadAgents } from './load-agents.ts';
import { startWorkers } from './start-workers.ts';

/** Signals within this time are one. */
const SAME_PRESS_MS = 1_000;

/** Runs workers until SIGTERM or SIGINT. What is in flight gets its grace time; a second signal ends the process at once. */
async function main(): Promise<void> {
  const config = readWorkerConfig(process.env);
  const logger = createLogger(config.logLevel);
  const db = openDatabase(config.databaseUrl, (error) => logger.warn({ err: error }, 'a database connection broke'));
  await migrate(db);
  await db.destroy();
  const agents = await loadAgents(config.agentsDirectory);
  const telemetry = await startTelemetry(process.env, 'perdure-worker', (message) => logger.warn(message));
  const setup = { config, temporal: temporalTarget(), agents, env: process.env, logger, telemetry };
  const workers = await startWorkers(setup);
  process.stderr.write(
    `workers ready: ${config.roles.join(', ')}; agents: ${[...agents.keys()].join(', ')}${workers.metricsUrl === null ? '' : `; metrics: ${workers.metricsUrl}/metrics`}\n`,
  );
  let stoppingSince: number | null = null;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // npm passes a terminal's signal on, so that one key press may come twice.
      if (stoppingSince !== null && performance.now() - stoppingSince > SAME_PRESS_MS) process.exit(1);
      if (stoppingSince !== null) return;
      stoppingSince = performance.now();
      workers.shutdown().catch((error: unknown) => logger.error({ err: error }, 'shutdown failed'));
    });
  }
  try {
    await workers.finished;
  } finally {
    await telemetry?.shutdown();
  }
}

try {
  await main();
} catch (error) {
  const isExpected = error instanceof ConfigurationError;
  process.stderr.write(`${isExpected ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exitCode = isExpected ? 2 : 1;
}
