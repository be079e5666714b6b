import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is there (anything but false, null and undefined), and fails with what was awaited and the last error. */
export async function until<Value>(
  what: string,
  ask: () => Promise<Value>,
  { timeoutMs = 15_000, everyMs = 25 } = {},
): Promise<NonNullable<Value>> {
  const giveUpAt = performance.now() + timeoutMs;
  let problem: unknown = null;
  while (performance.now() < giveUpAt) {
    try {
      const value = await ask();
      if (value !== null && value !== undefined && value !== false) return value;
      problem = null;
    } catch (error) {
      problem = error;
    }
    await sleep(everyMs);
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: problem });
}
