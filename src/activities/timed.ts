import type { Worked } from '../domain/run/results.ts';

/**
 * Adds to a result how long its attempt took: the run counts work by it. Between the end of an attempt and the moment in which the workflow
 * hears of it Temporal may be away for hours, and nobody works then.
 */
export async function timed<Result extends object>(work: () => Promise<Result>): Promise<Result & Worked> {
  const startedAt = performance.now();
  const result = await work();
  return { ...result, ms: Math.round(performance.now() - startedAt) };
}
