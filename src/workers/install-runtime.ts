import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Logger } from '../runtime/logger.ts';

let isInstalled = false;

/** Installs Temporal's runtime with our logger. Once per process, before the first worker. Signals are the entry point's business. */
export function installRuntime(logger: Logger): void {
  if (isInstalled) return;
  isInstalled = true;
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      const { error, ...fields } = { error: undefined, ...meta };
      const severity = level === 'ERROR' ? 'error' : level === 'WARN' ? 'warn' : 'info';
      logger[severity]({ ...fields, ...(error === undefined ? {} : { err: error }) }, message);
    }),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN' }), forward: {} } },
  });
}
