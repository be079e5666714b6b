import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigurationError, type ListenAddress } from '../../runtime/config.ts';
import type { Missing } from './readiness.ts';

/** What the endpoint of a process answers from. */
export type EndpointSources = {
  readonly expose: () => Promise<string>;
  readonly missing: () => Promise<readonly Missing[]>;
};

export type Endpoint = {
  /** Where it listens: `http://127.0.0.1:9464`. */
  readonly url: string;
  readonly close: () => Promise<void>;
};

/** Port of the endpoint where a process may choose, and where the example configuration of Prometheus looks. */
export const METRICS_PORT = 9464;

/** The text format of Prometheus. */
const EXPOSITION = 'text/plain; version=0.0.4; charset=utf-8';

/** Largest number of connections at once: a scraper and some probes. */
const CONNECTIONS_SERVED_MAX = 32;

type Answer = { readonly status: number; readonly type: string; readonly body: string };

/**
 * Serves `/metrics`, `/livez` and `/readyz` of a process. It has no secrets and asks for none: bind it to an address that only those can
 * reach who may read it.
 *
 * @throws ConfigurationError when the address cannot be listened at.
 */
export async function serveEndpoint(address: ListenAddress, sources: EndpointSources): Promise<Endpoint> {
  const server = createServer((request, response) => void respond(sources, request, response));
  server.maxConnections = CONNECTIONS_SERVED_MAX;
  server.listen({ host: address.host, port: address.port });
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigurationError(
      `PERDURE_METRICS_ADDRESS ${address.host}:${address.port} cannot be listened at (${error.code}); choose a free port, or 0 for any`,
      { cause: error },
    );
  });
  // A scrape never keeps a process alive that has nothing else to do.
  server.unref();
  const { port } = server.address() as AddressInfo;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: `http://${host}:${port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function respond(sources: EndpointSources, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, type, body } = await answerTo(sources, request).catch((error: unknown) =>
    json(500, { problem: `the answer could not be made: ${(error as Error).name}` }),
  );
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answerTo({ expose, missing }: EndpointSources, { method, url }: IncomingMessage): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return json(405, { problem: 'only GET and HEAD are served' });
  const [path = ''] = (url ?? '').split('?');
  switch (path) {
    case '/metrics':
      return { status: 200, type: EXPOSITION, body: await expose() };
    case '/livez':
      return json(200, { alive: true });
    case '/readyz': {
      const lacks = await missing();
      return json(lacks.length === 0 ? 200 : 503, { ready: lacks.length === 0, missing: lacks });
    }
    default:
      return json(404, { problem: 'served are /metrics, /livez and /readyz' });
  }
}

function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` };
}
