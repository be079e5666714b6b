import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import {
  type OpenTelemetrySinks,
  OpenTelemetryInboundInterceptor,
  OpenTelemetryInternalsInterceptor,
  OpenTelemetryOutboundInterceptor,
  SPAN_DELIMITER,
  SpanName,
} from '@temporalio/interceptors-opentelemetry-v2/lib/workflow/index.js';
import { headersWithContext, TRACE_HEADER } from '@temporalio/interceptors-opentelemetry-v2/lib/instrumentation.js';
import {
  type ActivityInput,
  ContinueAsNew,
  type ContinueAsNewInput,
  defaultPayloadConverter,
  type Next,
  proxySinks,
  type QueryInput,
  type SignalInput,
  type Sink,
  type UpdateInput,
  type WorkflowExecuteInput,
  type WorkflowInboundCallsInterceptor,
  workflowInfo,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';
import { isContinuation, unpackContinuation } from '../../domain/run/continuation.ts';
import type { EndedRun } from '../../domain/run/ended-run.ts';
import type { RunEnd } from '../../domain/run/run-end.ts';
import type { RunStart } from '../../domain/run/start.ts';
import { carrierFor, type TraceCarrier, traceIdsOf } from '../../domain/run/trace-ids.ts';

type Headers = WorkflowExecuteInput['headers'];

/** Header in which an execution tells the next when the run began, in milliseconds since the epoch. */
const STARTED_HEADER = 'perdure-started';

/** What the interceptors of one execution share. */
type Traced = {
  /** Spans of activities whose result is not there yet. */
  readonly open: Set<Span>;
  startedAt: number;
  traceId?: string;
};

interface RunSink extends Sink {
  runEnded(run: EndedRun): void;
}

const { perdure } = proxySinks<OpenTelemetrySinks & { perdure: RunSink }>();

/**
 * Traces a run where its worker traces: the package's spans, in the run's own trace. Replay-safe, also for a run that began or goes on where
 * nothing is traced: nothing here schedules, waits or changes a command but for headers. Promises are passed on as they are, because a
 * single await more would let commands change places. Ids come from a random stream of their own, and sinks are silent on replay.
 */
export function interceptors(): WorkflowInterceptors {
  const traced: Traced = { open: new Set(), startedAt: 0 };
  return {
    inbound: [new RunInbound(traced)],
    outbound: [new RunOutbound(traced)],
    internals: [new OpenTelemetryInternalsInterceptor()],
  };
}

class RunInbound extends OpenTelemetryInboundInterceptor {
  readonly #traced: Traced;

  constructor(traced: Traced) {
    super();
    this.#traced = traced;
  }

  override execute(
    input: WorkflowExecuteInput,
    next: Next<WorkflowInboundCallsInterceptor, 'execute'>,
  ): Promise<unknown> {
    const carrier = carrierOf(input.headers);
    const startedAt = startedAtOf(input.headers);
    this.#traced.startedAt = startedAt;
    const name = `${SpanName.WORKFLOW_EXECUTE}${SPAN_DELIMITER}${workflowInfo().workflowType}`;
    return within(this.tracer, name, contextOf(carrier), () => {
      const result = next(input);
      const endOpen = (): void => this.#traced.open.forEach((span) => span.end());
      const tellEnd = (end: unknown): void => {
        endOpen();
        // What starts a scheduled run is no run.
        if (workflowInfo().workflowType !== 'agentRun') return;
        const { tenant, agent } = startOf(input.args[0] as object);
        perdure.runEnded({ tenant, agent, end: end as RunEnd, startedAt, endedAt: Date.now(), carrier });
      };
      // Work that the run does not wait for is still the parent of its attempts.
      result.then(tellEnd, endOpen);
      return result;
    });
  }

  override handleSignal(
    input: SignalInput,
    next: Next<WorkflowInboundCallsInterceptor, 'handleSignal'>,
  ): Promise<void> {
    const name = `${SpanName.WORKFLOW_HANDLE_SIGNAL}${SPAN_DELIMITER}${input.signalName}`;
    return within(this.tracer, name, contextOf(carrierOf(input.headers)), () => next(input));
  }

  override handleUpdate(
    input: UpdateInput,
    next: Next<WorkflowInboundCallsInterceptor, 'handleUpdate'>,
  ): Promise<unknown> {
    const name = `${SpanName.WORKFLOW_HANDLE_UPDATE}${SPAN_DELIMITER}${input.name}`;
    return within(this.tracer, name, contextOf(carrierOf(input.headers)), () => next(input));
  }

  /** Validators and queries do not run on replay: a span would take ids that replay gives to others. */
  override validateUpdate(input: UpdateInput, next: Next<WorkflowInboundCallsInterceptor, 'validateUpdate'>): void {
    next(input);
  }

  override handleQuery(
    input: QueryInput,
    next: Next<WorkflowInboundCallsInterceptor, 'handleQuery'>,
  ): Promise<unknown> {
    return next(input);
  }
}

class RunOutbound extends OpenTelemetryOutboundInterceptor {
  readonly #traced: Traced;

  constructor(traced: Traced) {
    super();
    this.#traced = traced;
  }

  /** Lines of the SDK about a run as a whole come from outside of its spans. */
  override getLogAttributes(
    input: Record<string, unknown>,
    next: Next<WorkflowOutboundCallsInterceptor, 'getLogAttributes'>,
  ): Record<string, unknown> {
    this.#traced.traceId ??= traceIdsOf(workflowInfo().workflowId).traceId;
    return super.getLogAttributes({ ...input, trace_id: this.#traced.traceId }, next);
  }

  override scheduleActivity(
    input: ActivityInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'scheduleActivity'>,
  ): Promise<unknown> {
    const name = `${SpanName.ACTIVITY_START}${SPAN_DELIMITER}${input.activityType}`;
    return within(this.tracer, name, context.active(), (span) => {
      this.#traced.open.add(span);
      const result = next({ ...input, headers: headersWithContext(input.headers) });
      const close = (): void => void this.#traced.open.delete(span);
      result.then(close, close);
      return result;
    });
  }

  override continueAsNew(
    input: ContinueAsNewInput,
    next: Next<WorkflowOutboundCallsInterceptor, 'continueAsNew'>,
  ): Promise<never> {
    const startedAt = defaultPayloadConverter.toPayload(this.#traced.startedAt);
    const name = `${SpanName.CONTINUE_AS_NEW}${SPAN_DELIMITER}${input.options.workflowType}`;
    return within(this.tracer, name, context.active(), () =>
      next({ ...input, headers: { ...headersWithContext(input.headers), [STARTED_HEADER]: startedAt } }),
    );
  }
}

/** Does work inside a span that ends with it, and gives the work's own promise. */
function within<Result>(
  tracer: Tracer,
  name: string,
  parent: Context,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const span = tracer.startSpan(name, {}, parent);
  const result = context.with(trace.setSpan(parent, span), () => work(span));
  result.then(
    () => span.setStatus({ code: SpanStatusCode.OK }).end(),
    (error: unknown) => {
      const isEnd = error instanceof ContinueAsNew;
      span.setStatus({ code: isEnd ? SpanStatusCode.OK : SpanStatusCode.ERROR }).end();
    },
  );
  return result;
}

function startOf(input: object): Pick<RunStart, 'tenant' | 'agent'> {
  return isContinuation(input) ? unpackContinuation(input).start : (input as RunStart);
}

function carrierOf(headers: Headers): TraceCarrier {
  const encoded = headers[TRACE_HEADER];
  const given = encoded === undefined ? undefined : defaultPayloadConverter.fromPayload<Partial<TraceCarrier>>(encoded);
  return carrierFor(workflowInfo().workflowId, given);
}

function startedAtOf(headers: Headers): number {
  const encoded = headers[STARTED_HEADER];
  return encoded === undefined ? workflowInfo().startTime.getTime() : defaultPayloadConverter.fromPayload(encoded);
}

function contextOf(carrier: TraceCarrier): Context {
  return propagation.extract(ROOT_CONTEXT, carrier);
}
