import { condition } from '@temporalio/workflow';
import type { Decision } from '../domain/run/decision.ts';
import type { Observation } from '../domain/run/observation.ts';
import type { Throttled } from '../domain/run/results.ts';
import type { Run } from '../domain/run/run.ts';
import type { Shell } from './shell.ts';

/** Notes until when the run has to wait. Replay-safe: the recorded wait, from the workflow's clock. */
export function throttledUntil({ limit, waitMs }: Throttled): Observation {
  return { kind: 'throttled', throttle: { limit, untilAt: Date.now() + waitMs } };
}

/**
 * Waits until the provider's rate has room: one timer, which holds no worker. What is said meanwhile is heard at once and does not lengthen the
 * wait; a `retry` asks at once.
 */
export async function awaitRate(
  shell: Shell,
  { turn, throttle }: Decision & { readonly kind: 'await-rate' },
): Promise<Observation> {
  const { retries } = shell.run;
  const remainingMs = throttle.untilAt - Date.now();
  if (remainingMs <= 0) return { kind: 'rate-waited', isOver: true };
  const summary = `turn ${turn}: waits for the ${throttle.limit}`;
  const isBrokenOff = await condition(() => isWoken(shell.run, retries), remainingMs, { summary });
  return { kind: 'rate-waited', isOver: !isBrokenOff || shell.run.retries !== retries };
}

function isWoken(run: Run, retries: number): boolean {
  return run.waiting.length > 0 || run.isPaused || run.stop !== null || run.retries !== retries;
}
