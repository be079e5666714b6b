import { Context, sleep } from '@temporalio/activity';
import { LIMITS } from '../domain/run/limits.ts';
import { classify } from './failures.ts';

/** Pause between two tries while the database is away, in milliseconds. */
const PAUSE_MS = 250;

/**
 * Writes what must not be lost: a reply that was paid for, the outcome of a write. While the database is away it tries again for a minute, with
 * what is to be written in hand, because the attempt after this one would have to pay or ask again. The write must be safe to
 * repeat.
 */
export async function untilStored<Result>(write: () => Promise<Result>): Promise<Result> {
  const giveUpAt = Date.now() + LIMITS.retryMs;
  for (;;) {
    try {
      return await write();
    } catch (error) {
      const { cause, disposition } = classify(error);
      const isAway = cause === 'infra' && disposition === 'transient';
      if (!isAway || Date.now() > giveUpAt || Context.current().cancellationSignal.aborted) throw error;
    }
    await sleep(PAUSE_MS);
  }
}
