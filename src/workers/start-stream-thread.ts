import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ReplyStreams } from '../domain/stream/stream.ts';
import type { StreamNotice, StreamOrder } from './stream-orders.ts';

/** How long a process that stops waits for the thread's last words, in milliseconds: longer than the thread itself does. */
const CLOSING_MS = 3_000;

/**
 * Starts a stream writer in a thread of its own. A thread that fails is replaced with the next reply; what it had not written is a gap.
 *
 * @param onTrouble hears of writes that failed.
 */
export function startStreamThread(databaseUrl: string, onTrouble: (error: unknown) => void): ReplyStreams {
  const start = (): Worker => {
    const made = new Worker(new URL(`stream-thread${extname(import.meta.filename)}`, import.meta.url), {
      name: 'perdure-streams',
      workerData: { databaseUrl },
    });
    made.on('message', ({ trouble }: StreamNotice) => onTrouble(new Error(trouble)));
    made.on('error', (error) => {
      if (thread === made) thread = null;
      onTrouble(error);
    });
    // The process lives as long as its workers do. A listener for messages would hold it, so this comes last.
    made.unref();
    return made;
  };
  let thread: Worker | null = start();
  let orders: StreamOrder[] = [];
  let streams = 0;
  const send = (): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows; a thread has none.
    thread?.postMessage(orders);
    orders = [];
  };
  const tell = (order: StreamOrder): void => {
    orders.push(order);
    // All that is read in one round of the event loop goes together.
    if (orders.length === 1) setImmediate(send);
  };
  return {
    open: (tenant, runId, turn) => {
      thread ??= start();
      streams += 1;
      const stream = streams;
      tell({ kind: 'open', stream, tenant, runId, turn });
      return {
        say: (delta) => tell({ kind: 'say', stream, delta }),
        end: () => tell({ kind: 'end', stream }),
      };
    },
    settled: (runId) => tell({ kind: 'settled', runId }),
    close: async () => {
      const closing = thread;
      if (closing === null) return;
      closing.ref();
      const ended = new Promise((resolve) => closing.once('exit', resolve));
      tell({ kind: 'close' });
      const left = new Promise((resolve) => setTimeout(resolve, CLOSING_MS).unref());
      await Promise.race([ended, left]);
      await closing.terminate();
    },
  };
}
