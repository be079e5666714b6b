import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

type WireValue = {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values?: readonly WireValue[] };
};

type WireAttributes = readonly { readonly key: string; readonly value: WireValue }[];

type WireSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: WireAttributes;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly events?: readonly { readonly name: string; readonly attributes?: WireAttributes }[];
  readonly status?: { readonly code?: number; readonly message?: string };
};

type WireRequest = {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: WireAttributes };
    readonly scopeSpans?: readonly { readonly spans?: readonly WireSpan[] }[];
  }[];
};

export type Value = string | boolean | number | readonly Value[] | undefined;
export type Attributes = Readonly<Record<string, Value>>;

/** A span as a collector gets it. */
export type CollectedSpan = {
  readonly traceId: string;
  readonly spanId: string;
  /** Null for the first span of a trace. */
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'other';
  readonly startedAt: bigint;
  readonly endedAt: bigint;
  readonly attributes: Attributes;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isError: boolean;
  readonly service: Value;
};

export type Collector = {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  /** Every span, in the order of arrival. */
  readonly spans: readonly CollectedSpan[];
  /** The whole of what arrived, to look for words in. */
  readonly text: () => string;
  /** Headers of every request. */
  readonly headers: readonly NodeJS.Dict<string | string[]>[];
  readonly close: () => Promise<void>;
};

/** Starts a collector on a free port that takes traces as OTLP over HTTP, in JSON. */
export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const texts: string[] = [];
  const headers: NodeJS.Dict<string | string[]>[] = [];
  const server = createServer((request, response) => {
    const take = (bytes: Buffer): void => {
      if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/json') {
        response.writeHead(415).end();
        return;
      }
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
      headers.push(request.headers);
      texts.push(body.toString('utf8'));
      spans.push(...read(JSON.parse(body.toString('utf8')) as WireRequest));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    };
    buffer(request).then(take, () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    text: () => texts.join('\n'),
    headers,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function read({ resourceSpans = [] }: WireRequest): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const service = readAttributes(resource?.attributes)['service.name'];
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => readSpan(span, service)));
  });
}

function readSpan(span: WireSpan, service: Value): CollectedSpan {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ? span.parentSpanId : null,
    name: span.name,
    kind: (['other', 'internal', 'server', 'client'] as const)[span.kind] ?? 'other',
    startedAt: BigInt(span.startTimeUnixNano),
    endedAt: BigInt(span.endTimeUnixNano),
    attributes: readAttributes(span.attributes),
    links: span.links ?? [],
    isError: span.status?.code === 2,
    service,
  };
}

function readAttributes(attributes: WireAttributes = []): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, readValue(value)]));
}

function readValue(value: WireValue): Value {
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(readValue);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue;
}
