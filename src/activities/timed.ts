import { Context } from '@temporalio/activity';
import type { Worked } from '../domain/run/results.ts';

/** Milliseconds that the attempts under way have only waited. */
const idle = new WeakMap<Context, number>();

/** Notes that the attempt of this context only waits: that is no work of the run. */
export function noteIdle(ms: number): void {
  const context = Context.current();
  idle.set(context, (idle.get(context) ?? 0) + ms);
}

/**
 * Adds to a result how long its attempt took: the run counts work by it. Between the end of an attempt and the moment in which the workflow
 * hears of it Temporal may be away for hours, and nobody works then.
 */
export async function timed<Result extends object>(work: () => Promise<Result>): Promise<Result & Worked> {
  const startedAt = performance.now();
  const result = await work();
  const idleMs = idle.get(Context.current()) ?? 0;
  return { ...result, ms: Math.max(0, Math.round(performance.now() - startedAt - idleMs)) };
}
