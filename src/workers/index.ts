/** What a program of one's own needs to run workers: `perdure/worker`. The ready one is the command `perdure-worker`. */
export { ConfigurationError, readWorkerConfig, type WorkerConfig, type WorkerRole } from '../runtime/config.ts';
export { temporalTarget, type TemporalTarget } from '../runtime/connection.ts';
export { createLogger, type Logger } from '../runtime/logger.ts';
export { loadAgents } from './load-agents.ts';
export { migrateDatabase } from './migrate-database.ts';
export { startWorkers, type Workers, type WorkersSetup } from './start-workers.ts';
