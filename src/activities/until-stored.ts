import { LIMITS } from '../domain/run/limits.ts';
import { isDatabaseAway } from './failures.ts';

/** Pause between two tries while the database is away, in milliseconds. */
const PAUSE_MS = 250;

/**
 * Writes what must not be lost: a reply that was paid for, the outcome of a write. While the database is away it tries again for a minute, with
 * what is to be written in hand, because the attempt after this one would have to pay or ask again. It goes on when the activity is
 * cancelled or its worker stops: what is in hand then is known nowhere else. The write must be safe to repeat.
 */
export async function untilStored<Result>(write: () => Promise<Result>): Promise<Result> {
  const giveUpAt = performance.now() + LIMITS.retryMs;
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!isDatabaseAway(error) || performance.now() > giveUpAt) throw error;
    }
    // The SDK's sleep would end with a cancellation.
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
