import { type Context, ROOT_CONTEXT, type Span, trace, TraceFlags, type Tracer } from '@opentelemetry/api';
import { type IdGenerator, RandomIdGenerator } from '@opentelemetry/sdk-trace-base';
import { type TraceIds, traceIdsOf } from '../domain/run/trace-ids.ts';

/** Places of runs in their traces. */
export type RunRoots = {
  readonly idGenerator: IdGenerator;
  /** Hands over the tracer of the provider that was made with the generator. */
  readonly use: (tracer: Tracer) => void;
  /** Gives a context under the first span of a run. */
  readonly contextOf: (agentRunId: string) => Context;
  /** Tells whether this process's own sampler takes a trace. */
  readonly isSampledHere: (traceId: string) => boolean;
};

/**
 * Makes the first spans of runs. Their ids follow from the run's, and the SDK's sampler is asked about them as about any first span; what is
 * started here is never ended, because the run's end writes it.
 */
export function createRunRoots(): RunRoots {
  const random = new RandomIdGenerator();
  let next: TraceIds | null = null;
  let tracer: Tracer | null = null;
  const start = (ids: TraceIds): Span => {
    if (tracer === null) throw new Error('the tracer of the runs is not there yet');
    next = ids;
    try {
      return tracer.startSpan('invoke_agent', { root: true }, ROOT_CONTEXT);
    } finally {
      next = null;
    }
  };
  return {
    idGenerator: {
      generateTraceId: () => next?.traceId ?? random.generateTraceId(),
      generateSpanId: () => next?.spanId ?? random.generateSpanId(),
    },
    use: (made) => {
      tracer = made;
    },
    contextOf: (agentRunId) => trace.setSpanContext(ROOT_CONTEXT, start(traceIdsOf(agentRunId)).spanContext()),
    isSampledHere: (traceId) => {
      const { traceFlags } = start({ traceId, spanId: traceId.slice(16) }).spanContext();
      return (traceFlags & TraceFlags.SAMPLED) !== 0;
    },
  };
}
