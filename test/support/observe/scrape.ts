import { request } from 'node:http';
import type { WorkerProcess } from '../crash/worker-process.ts';
import { type Exposition, parseExposition } from './exposition.ts';

/** What a server answered. */
export type Answer = { readonly status: number; readonly type: string; readonly body: string };

/** Gives the address that a worker process has printed for its metrics and health. */
export async function endpointOf(worker: WorkerProcess): Promise<string> {
  await worker.ready;
  const url = /metrics: (http:\/\/\S+)\/metrics/.exec(worker.output())?.[1];
  if (url === undefined) throw new Error(`the worker says nothing of metrics:\n${worker.output()}`);
  return url;
}

/** Asks an HTTP server once, past any proxy and on a connection of its own. */
export async function ask(url: string, method = 'GET'): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request(url, { method, agent: false, timeout: 10_000 }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      const type = response.headers['content-type'] ?? '';
      resolve({ status: response.statusCode ?? 0, type, body: Buffer.concat(chunks).toString('utf8') });
    });
  });
  asked.on('timeout', () => asked.destroy(new Error(`${url} did not answer`)));
  asked.on('error', reject);
  asked.end();
  return promise;
}

/** Reads the metrics of a worker process. */
export async function scrape(url: string): Promise<Exposition> {
  const { status, body } = await ask(`${url}/metrics`);
  if (status !== 200) throw new Error(`${url}/metrics answered ${status}: ${body}`);
  return parseExposition(body);
}
