import { DefaultLogger, type LogLevel, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { fieldsOfTemporal } from '../runtime/log-fields.ts';
import type { Logger } from '../runtime/logger.ts';
import { freeLoopbackPort } from './metrics/sdk-metrics.ts';

/** Ports that are tried for the SDK's own metrics: between finding a free one and binding it another process may take it. */
const PORTS_TRIED_MAX = 5;

let isInstalled = false;
let sdkMetricsPort: number | null = null;

/** Lines of the SDK about an attempt at an activity. `observeActivities` writes them with the cause and without the words. */
const TOLD_BY_US = /^Activity (?:started|completed|failed|reset|paused)/;

/** What the SDK warns of and is meant: queues of models and tools have no workflows. */
const MEANT = /^No workflows registered, not polling/;

/** Installs Temporal's runtime with our logger. Once per process, before the first worker. Signals are the entry point's business. */
export function installRuntime(logger: Logger): void {
  if (!isInstalled) install(logger, null);
}

/**
 * Does the same, and lets the SDK measure itself. What a process has installed first stays.
 *
 * @returns the loopback port at which the SDK shows its metrics; null when the runtime was installed without.
 */
export async function installMeasuredRuntime(logger: Logger): Promise<number | null> {
  for (let tried = 1; !isInstalled; tried += 1) {
    const port = await freeLoopbackPort();
    try {
      if (!isInstalled) install(logger, port);
    } catch (error) {
      if (tried >= PORTS_TRIED_MAX) throw error;
    }
  }
  return sdkMetricsPort;
}

function install(logger: Logger, metricsPort: number | null): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger(levelOf(logger), ({ level, message, meta, timestampNanos }) => {
      if ((meta?.['activityId'] !== undefined && TOLD_BY_US.test(message)) || MEANT.test(message)) return;
      const time = Number(timestampNanos / 1_000_000n);
      logger[severityOf(level)]({ time, ...fieldsOfTemporal(meta ?? {}) }, message);
    }),
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN' }), forward: {} },
      ...(metricsPort === null ? {} : { metrics: { prometheus: prometheusAt(metricsPort) } }),
    },
  });
  isInstalled = true;
  sdkMetricsPort = metricsPort;
}

/** Base units, as our own metrics have them. The SDK's counters keep their names: its exporter adds no `_total` whatever it is told. */
function prometheusAt(port: number) {
  return {
    bindAddress: `127.0.0.1:${port}`,
    unitSuffix: true,
    useSecondsForDurations: true,
  };
}

function levelOf({ level }: Logger): LogLevel {
  return level === 'trace' || level === 'debug' ? (level.toUpperCase() as LogLevel) : 'INFO';
}

function severityOf(level: LogLevel): 'trace' | 'debug' | 'info' | 'warn' | 'error' {
  return level.toLowerCase() as 'trace' | 'debug' | 'info' | 'warn' | 'error';
}
