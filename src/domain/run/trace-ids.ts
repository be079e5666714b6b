import { sha256 } from '../sha-256.ts';

/** Ids of a trace and of its first span, as hexadecimal text. */
export type TraceIds = { readonly traceId: string; readonly spanId: string };

/**
 * Gives the ids of a run's trace and of its first span. They follow from the run's id alone, so that whoever starts a run, decides
 * an approval or goes on after a restart writes into the same trace without asking anybody.
 */
export function traceIdsOf(agentRunId: string): TraceIds {
  const hex = [...sha256(`trace ${agentRunId}`)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { traceId: hex.slice(0, 32), spanId: hex.slice(32, 48) };
}

/** Entry of a trace's state that says: an untraced client started the run, so each worker's own sampler decides. */
export const STARTED_UNTRACED = { key: 'perdure', value: 'untraced-start' } as const;

/** Headers of W3C Trace Context. */
export type TraceCarrier = { readonly traceparent: string; readonly tracestate?: string };

/**
 * Gives the place at which a run or a message to it stands in the run's trace: what its client says, or right under the run's first span
 * where the client does not trace or speaks of another trace.
 */
export function carrierFor(agentRunId: string, given: Partial<TraceCarrier> | undefined): TraceCarrier {
  const { traceId, spanId } = traceIdsOf(agentRunId);
  const { traceparent, tracestate } = given ?? {};
  if (traceparent !== undefined && traceparent.slice(3, 35) === traceId) {
    return { traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
  }
  const { key, value } = STARTED_UNTRACED;
  return { traceparent: `00-${traceId}-${spanId}-01`, tracestate: `${key}=${value}` };
}
