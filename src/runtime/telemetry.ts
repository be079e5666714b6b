import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { ActivityInterceptorsFactory, WorkerOptions } from '@temporalio/worker';
import { ConfigurationError, type Environment } from './config.ts';
import type { Spans } from './gen-ai.ts';

/** What a process that traces gives to its clients, workers and activities. */
export type Telemetry = {
  readonly client: WorkflowClientInterceptor;
  readonly activity: ActivityInterceptorsFactory;
  /** What the traced workflow bundle calls. */
  readonly sinks: NonNullable<WorkerOptions['sinks']>;
  readonly spans: Spans;
  /** Sends what is left, for five seconds at most. Nothing is traced afterwards. */
  readonly shutdown: () => Promise<void>;
};

/**
 * Starts tracing where OpenTelemetry's variables ask for it. Where they do not, nothing of its SDK is loaded. The packages read the
 * variables from the process, so tracing can be on or off for a process, not for a part of it.
 *
 * @param serviceName What the process is, where `OTEL_SERVICE_NAME` does not say.
 * @param warn Hears once in a while that spans could not be sent. Runs never notice.
 * @returns null when tracing is off.
 * @throws ConfigurationError for a protocol that is not served.
 */
export async function startTelemetry(
  env: Environment,
  serviceName: string,
  warn: (message: string) => void = () => undefined,
): Promise<Telemetry | null> {
  if (!isTracingOn(env)) return null;
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || 'http/json';
  if (!protocol.startsWith('http/')) {
    throw new ConfigurationError(
      `OTEL_EXPORTER_OTLP_PROTOCOL is ${JSON.stringify(protocol)}; spans are sent as http/json, so set that, and an endpoint that takes OTLP over HTTP (usually port 4318)`,
    );
  }
  const { createTelemetry } = await import('./create-telemetry.ts');
  const isContentCaptured = /^true$/i.test(env['OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT'] ?? '');
  return createTelemetry({ serviceName, capturesContent: isContentCaptured, warn });
}

function isTracingOn(env: Environment): boolean {
  if (/^true$/i.test(env['OTEL_SDK_DISABLED'] ?? '') || env['OTEL_TRACES_EXPORTER'] === 'none') return false;
  return Boolean(env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT']);
}
