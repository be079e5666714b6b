import {
  type Attributes,
  createTraceState,
  type HrTime,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
} from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { makeWorkflowExporter, type SerializableSpan } from '@temporalio/interceptors-opentelemetry-v2';
import type { WorkerOptions } from '@temporalio/worker';
import type { EndedRun } from '../domain/run/ended-run.ts';
import { traceIdsOf } from '../domain/run/trace-ids.ts';
import { ATTRIBUTES, runSpan, SCHEMA_URL } from './gen-ai.ts';

type TraceSinks = NonNullable<WorkerOptions['sinks']>;
type Info = Parameters<ReturnType<typeof makeWorkflowExporter>['export']['fn']>[0];

/**
 * Makes what the traced workflow bundle calls: `exporter` sends the spans of workflow code, `perdure` the first span of a run when it ends. Neither
 * is called on replay.
 */
export function workflowSinks(processor: SpanProcessor, resource: Resource): TraceSinks {
  const exporter = makeWorkflowExporter(processor, resource).export;
  // The package copies all of the info onto each span, memo and all; these are the ones with a name of ours.
  const send = (attributes: Attributes, spans: SerializableSpan[]): void | Promise<void> =>
    exporter.fn(attributes as unknown as Info, spans);
  return {
    exporter: { export: { fn: (info: Info, spans: SerializableSpan[]) => send(attributesOf(info), spans) } },
    perdure: {
      runEnded: {
        fn: (info: Info, run: EndedRun) => {
          const span = firstSpan(info, run);
          return span === null ? undefined : send({}, [span]);
        },
      },
    },
  };
}

/** The info is a copy from the workflow's isolate: of search attributes only the plain form survives that. */
function attributesOf({ workflowId, runId, workflowType, searchAttributes }: Info): Attributes {
  const known: Record<string, unknown> = {
    ...(workflowType === 'agentRun' ? { [ATTRIBUTES.run]: workflowId } : {}),
    [ATTRIBUTES.execution]: runId,
    [ATTRIBUTES.tenant]: searchAttributes['PerdureTenant']?.[0],
    [ATTRIBUTES.agent]: searchAttributes['PerdureAgent']?.[0],
    [ATTRIBUTES.release]: searchAttributes['PerdureRelease']?.[0],
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => typeof value === 'string')) as Attributes;
}

/** Builds the first span of a run, from its start to now; null when its trace is not sampled. */
function firstSpan({ workflowId }: Info, { tenant, agent, end, startedAt, endedAt, carrier }: EndedRun) {
  if ((Number.parseInt(carrier.traceparent.slice(-2), 16) & TraceFlags.SAMPLED) === 0) return null;
  const { name, attributes } = runSpan({ id: workflowId, tenant, agent, end });
  const traceState = carrier.tracestate === undefined ? undefined : createTraceState(carrier.tracestate).serialize();
  return {
    name,
    kind: SpanKind.INTERNAL,
    spanContext: {
      ...traceIdsOf(workflowId),
      traceFlags: TraceFlags.SAMPLED,
      ...(traceState === undefined ? {} : { traceState }),
    },
    startTime: hrTime(startedAt),
    endTime: hrTime(endedAt),
    duration: hrTime(Math.max(0, endedAt - startedAt)),
    status: { code: end.outcome.kind === 'failed' ? SpanStatusCode.ERROR : SpanStatusCode.OK },
    attributes,
    links: [],
    events: [],
    ended: true,
    droppedAttributesCount: 0,
    droppedLinksCount: 0,
    droppedEventsCount: 0,
    instrumentationScope: { name: 'perdure', schemaUrl: SCHEMA_URL },
  } satisfies SerializableSpan;
}

/** Writes milliseconds as OpenTelemetry does: seconds and nanoseconds. */
function hrTime(milliseconds: number): HrTime {
  return [Math.floor(milliseconds / 1_000), (milliseconds % 1_000) * 1_000_000];
}
