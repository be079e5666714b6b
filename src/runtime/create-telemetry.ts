import { hostname } from 'node:os';
import { context, diag, DiagLogLevel, propagation, type ProxyTracerProvider, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import {
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
} from '@temporalio/interceptors-opentelemetry-v2';
import { createSpans, SCHEMA_URL } from './gen-ai.ts';
import { createRunRoots } from './run-roots.ts';
import { RunSpanProcessor } from './run-span-processor.ts';
import type { Telemetry } from './telemetry.ts';
import { RunTraceClientInterceptor } from './trace-client.ts';
import { workflowSinks } from './trace-sinks.ts';

/** A process that ends waits this long for its last spans to be taken. */
const FLUSH_MS_MAX = 5_000;

/** Milliseconds between two warnings that spans could not be sent. */
const WARN_EVERY_MS = 60_000;

/** Sets OpenTelemetry up in this process: provider, exporter, propagation, and what Temporal's clients and workers are given. */
export function createTelemetry({
  serviceName,
  capturesContent,
  warn,
}: {
  readonly serviceName: string;
  readonly capturesContent: boolean;
  readonly warn: (message: string) => void;
}): Telemetry {
  diag.setLogger(warnSometimes(warn), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': serviceName, 'host.name': hostname(), 'process.pid': process.pid }))
    // What the environment says goes before what we say.
    .merge(detectResources({ detectors: [envDetector] }));
  const roots = createRunRoots();
  const processor = new RunSpanProcessor(new BatchSpanProcessor(new OTLPTraceExporter()), roots.isSampledHere);
  const provider = new NodeTracerProvider({ resource, idGenerator: roots.idGenerator, spanProcessors: [processor] });
  const tracer = provider.getTracer('perdure', undefined, { schemaUrl: SCHEMA_URL });
  roots.use(tracer);
  provider.register();
  // A program that brings OpenTelemetry of its own keeps it.
  const isRegistered = (trace.getTracerProvider() as ProxyTracerProvider).getDelegate() === provider;
  return {
    client: new RunTraceClientInterceptor(tracer, roots),
    activity: (activity) => ({
      inbound: new OpenTelemetryActivityInboundInterceptor(activity, { tracer }),
      outbound: new OpenTelemetryActivityOutboundInterceptor(activity),
    }),
    sinks: workflowSinks(processor, resource),
    spans: createSpans(tracer, { capturesContent }),
    shutdown: async () => {
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(() => limit.resolve(), FLUSH_MS_MAX);
      await Promise.race([provider.shutdown().catch(() => undefined), limit.promise]);
      clearTimeout(timer);
      if (!isRegistered) return;
      trace.disable();
      context.disable();
      propagation.disable();
      diag.disable();
    },
  };
}

const quiet = (): void => undefined;

/** A collector that is away would fill the log. */
function warnSometimes(warn: (message: string) => void) {
  let silentUntil = 0;
  const say = (message: string): void => {
    if (performance.now() < silentUntil) return;
    silentUntil = performance.now() + WARN_EVERY_MS;
    warn(`tracing: ${message}`.slice(0, 300));
  };
  return { error: say, warn: say, info: quiet, debug: quiet, verbose: quiet };
}
