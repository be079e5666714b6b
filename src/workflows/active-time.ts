import type { Worked } from '../domain/run/results.ts';

/** Gives the milliseconds that count as work, from what came of the activities; undefined stands for one that gave no result. */
export type ActiveMs = (...results: readonly (Worked | undefined)[]) => number;

/**
 * Measures a decision from now on: what its attempts say that they worked, activities of one group at once, and never more than has passed.
 * An activity without a result told of no work: it was in trouble, as a blocked run is. The time that Temporal itself is away is no work
 * either, however long it was; the deadline counts all of it.
 * Replay-safe: the workflow's clock and recorded results; a result from before attempts told their time counts what has passed.
 */
export function measureActiveTime(): ActiveMs {
  const startedAt = Date.now();
  return (...results) => {
    const elapsedMs = Date.now() - startedAt;
    const told = results.map((result) => (result === undefined ? 0 : (result.ms ?? elapsedMs)));
    return Math.min(elapsedMs, Math.max(...told, 0));
  };
}
