import { setTimeout as sleep } from 'node:timers/promises';

/** Longest wait for anything in these tests: far above what any of it takes, so that a hang is reported with its name. */
const PATIENCE_MS = 60_000;

/** Asks every 25 ms until the answer is yes. @throws Error that names what did not happen. */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`waited ${patienceMs / 1000} s in vain until ${what}`);
    await sleep(25);
  }
}
