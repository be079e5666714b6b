import { DefaultLogger, type LogLevel, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { fieldsOfTemporal } from '../runtime/log-fields.ts';
import type { Logger } from '../runtime/logger.ts';

let isInstalled = false;

/** Lines of the SDK about an attempt at an activity. `observeActivities` writes them with the cause and without the words. */
const TOLD_BY_US = /^Activity (?:started|completed|failed|reset|paused)/;

/** Installs Temporal's runtime with our logger. Once per process, before the first worker. Signals are the entry point's business. */
export function installRuntime(logger: Logger): void {
  if (isInstalled) return;
  isInstalled = true;
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger(levelOf(logger), ({ level, message, meta, timestampNanos }) => {
      if (meta?.['activityId'] !== undefined && TOLD_BY_US.test(message)) return;
      const time = Number(timestampNanos / 1_000_000n);
      logger[severityOf(level)]({ time, ...fieldsOfTemporal(meta ?? {}) }, message);
    }),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN' }), forward: {} } },
  });
}

function levelOf({ level }: Logger): LogLevel {
  return level === 'trace' || level === 'debug' ? (level.toUpperCase() as LogLevel) : 'INFO';
}

function severityOf(level: LogLevel): 'trace' | 'debug' | 'info' | 'warn' | 'error' {
  return level.toLowerCase() as 'trace' | 'debug' | 'info' | 'warn' | 'error';
}
