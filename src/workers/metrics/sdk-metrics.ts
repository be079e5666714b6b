import { Agent, get, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';

/** Milliseconds for the answer of the SDK's own endpoint, which is in this process. */
const SDK_ANSWER_MS = 2_000;

/** An agent of our own takes no proxy from the environment. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Finds a port of the loopback address that is free at this moment. */
export async function freeLoopbackPort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen({ host: '127.0.0.1', port: 0 }, () => {
    const address = server.address();
    server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject()));
  });
  return promise;
}

/** Reads what the SDK exposes at a port of this process. Null when it does not answer. */
export async function readSdkMetrics(port: number): Promise<string | null> {
  try {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const signal = AbortSignal.timeout(SDK_ANSWER_MS);
    get({ host: '127.0.0.1', port, path: '/metrics', agent, signal }, resolve).once('error', reject);
    const response = await promise;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return response.statusCode === 200 ? Buffer.concat(chunks).toString('utf8') : null;
  } catch {
    return null;
  }
}
