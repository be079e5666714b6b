import { bulkhead, BulkheadRejectedError, type BulkheadPolicy } from 'cockatiel';

/**
 * Calls that may wait for a place, or half as many as there are places, where that is less: a short queue takes up what comes at once, a long one
 * would fill the slots that are left for other models.
 */
const QUEUED_CALLS_MAX = 20;

/** Milliseconds that a call waits for a place: it holds a slot of its worker meanwhile, and another worker may have room. */
const QUEUE_MS = 5_000;

/** There was no place for a call: nothing of it was begun. */
export class NoPlace extends Error {
  override readonly name = 'NoPlace';
}

/** Bounds the calls that this process makes at once, model by model. */
export type Bulkheads = {
  /**
   * Does a piece of work once there is a place for it.
   *
   * @throws NoPlace when there is none, and none comes free in time.
   * @throws the signal's reason when the work is called off before it has begun.
   */
  readonly enter: <Result>(model: string, signal: AbortSignal, work: () => Promise<Result>) => Promise<Result>;
};

/** Makes the bulkheads of a process. `callsMax` is the number of calls of one model at once, `queueMs` how long others wait for a place. */
export function createBulkheads(callsMax: number, queueMs = QUEUE_MS): Bulkheads {
  const policies = new Map<string, BulkheadPolicy>();
  const policyOf = (model: string): BulkheadPolicy => {
    const found = policies.get(model) ?? bulkhead(callsMax, Math.min(QUEUED_CALLS_MAX, Math.ceil(callsMax / 2)));
    policies.set(model, found);
    return found;
  };
  return {
    enter: async (model, signal, work) => {
      signal.throwIfAborted();
      const begun = Promise.withResolvers<void>();
      const queued = new AbortController();
      let hasBegun = false;
      const done = policyOf(model).execute(() => {
        hasBegun = true;
        begun.resolve();
        return work();
      }, queued.signal);
      done.catch(() => undefined);
      try {
        await firstOf(begun.promise, done, { signal, queueMs });
      } catch (error) {
        // It may have begun in the very moment; else it may still stand in the queue, and must not begin any more.
        if (hasBegun) return done;
        queued.abort();
        throw error instanceof BulkheadRejectedError ? new NoPlace(`${model} has no place left`) : error;
      }
      return done;
    },
  };
}

/** Waits until work has begun. Work that has begun is not called off here: it hears of it itself. */
async function firstOf(
  begun: Promise<void>,
  done: Promise<unknown>,
  { signal, queueMs }: { readonly signal: AbortSignal; readonly queueMs: number },
): Promise<void> {
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(() => stopped.reject(new NoPlace('no place came free')), queueMs);
  try {
    await Promise.race([begun, done.then(() => undefined), stopped.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
