import { context, type Span, trace, type Tracer } from '@opentelemetry/api';
import type {
  Next,
  WorkflowCancelInput,
  WorkflowClientInterceptor,
  WorkflowSignalInput,
  WorkflowStartInput,
  WorkflowStartUpdateInput,
  WorkflowStartUpdateOutput,
} from '@temporalio/client';
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry-v2';
import { ATTRIBUTES } from './gen-ai.ts';
import type { RunRoots } from './run-roots.ts';

/**
 * Writes what a client does to a run into the run's own trace, under its first span. The caller's trace, where there is one, is linked: a
 * run lives longer than the request that started it, and other requests say things to it. Questions are not traced, they change nothing.
 */
export class RunTraceClientInterceptor implements WorkflowClientInterceptor {
  readonly #interceptor: OpenTelemetryWorkflowClientInterceptor;
  readonly #roots: Pick<RunRoots, 'contextOf'>;

  constructor(tracer: Tracer, roots: Pick<RunRoots, 'contextOf'>) {
    this.#interceptor = new OpenTelemetryWorkflowClientInterceptor({ tracer });
    this.#roots = roots;
  }

  async start(input: WorkflowStartInput, next: Next<WorkflowClientInterceptor, 'start'>): Promise<string> {
    return this.#within(input.options.workflowId, (complete) =>
      this.#interceptor.start(input, (passed) => {
        complete();
        return next(passed);
      }),
    );
  }

  async signal(input: WorkflowSignalInput, next: Next<WorkflowClientInterceptor, 'signal'>): Promise<void> {
    return this.#within(input.workflowExecution.workflowId, (complete) =>
      this.#interceptor.signal(input, (passed) => {
        complete();
        return next(passed);
      }),
    );
  }

  async startUpdate(
    input: WorkflowStartUpdateInput,
    next: Next<WorkflowClientInterceptor, 'startUpdate'>,
  ): Promise<WorkflowStartUpdateOutput> {
    return this.#within(input.workflowExecution.workflowId, (complete) =>
      this.#interceptor.startUpdate(input, (passed) => {
        complete();
        return next(passed);
      }),
    );
  }

  async cancel(
    input: WorkflowCancelInput,
    next: Next<WorkflowClientInterceptor, 'cancel'>,
  ): ReturnType<OpenTelemetryWorkflowClientInterceptor['cancel']> {
    return this.#within(input.workflowExecution.workflowId, (complete) =>
      this.#interceptor.cancel(input, (passed) => {
        complete();
        return next(passed);
      }),
    );
  }

  /** Runs a call in the run's trace. `complete` finishes the span that is then active. */
  #within<Result>(agentRunId: string, call: (complete: () => void) => Promise<Result>): Promise<Result> {
    const caller = trace.getActiveSpan();
    return context.with(this.#roots.contextOf(agentRunId), () =>
      call(() => completeSpan(trace.getActiveSpan(), agentRunId, caller)),
    );
  }
}

function completeSpan(span: Span | undefined, agentRunId: string, caller: Span | undefined): void {
  span?.setAttribute(ATTRIBUTES.run, agentRunId);
  if (caller !== undefined) span?.addLink({ context: caller.spanContext() });
}
