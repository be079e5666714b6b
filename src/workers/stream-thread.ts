// A thread of a worker process that carries what models say to the database. The process's own thread reads the replies of all its calls, and
// is late where they are many: here a word waits for the database alone.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Listen } from '../domain/stream/stream.ts';
import { openStreamDatabase } from '../stores/stream-database.ts';
import { createStreamWriter } from '../stores/stream-writer.ts';
import type { StreamNotice, StreamOrder } from './stream-orders.ts';

/** Does what the process orders, in its order. */
function obey(port: MessagePort, databaseUrl: string): void {
  const onTrouble = (error: unknown): void => port.postMessage({ trouble: messageOf(error) } satisfies StreamNotice);
  const writer = createStreamWriter(openStreamDatabase(databaseUrl, onTrouble), onTrouble);
  const streams = new Map<number, Listen>();
  port.on('message', (orders: readonly StreamOrder[]) => {
    for (const order of orders) {
      if (order.kind === 'open') streams.set(order.stream, writer.open(order.tenant, order.runId, order.turn));
      if (order.kind === 'say') streams.get(order.stream)?.(order.delta);
      if (order.kind === 'end') streams.delete(order.stream);
      if (order.kind === 'settled') writer.settled(order.runId);
      if (order.kind === 'close') void writer.close().then(() => port.close());
    }
  });
}

/** Errors lose their codes on the way to another thread, and one of several addresses has nothing else. */
function messageOf(error: unknown): string {
  const { message, code } = error as { readonly message?: string; readonly code?: string };
  return [code, message].filter(Boolean).join(': ') || String(error);
}

if (parentPort !== null) obey(parentPort, (workerData as { readonly databaseUrl: string }).databaseUrl);
