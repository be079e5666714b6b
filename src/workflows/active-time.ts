import { LIMITS } from '../domain/run/limits.ts';
import type { Worked } from '../domain/run/results.ts';

/** Gives the milliseconds that count as work, from what came of the activities; undefined stands for one that gave no result. */
export type ActiveMs = (...results: readonly (Worked | undefined)[]) => number;

/**
 * Measures a decision from now on: what its attempts say that they worked, activities of one group at once, and never more than has passed.
 * An activity without a result was tried for a minute at most. The time that Temporal itself is away is no work, however long it was.
 * Replay-safe: the workflow's clock and recorded results; a result from before attempts told their time counts what has passed.
 */
export function measureActiveTime(): ActiveMs {
  const startedAt = Date.now();
  return (...results) => {
    const elapsedMs = Date.now() - startedAt;
    const told = results.map((result) => (result === undefined ? LIMITS.retryMs : (result.ms ?? elapsedMs)));
    return Math.min(elapsedMs, Math.max(...told, 0));
  };
}
