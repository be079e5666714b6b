import { activityInfo } from '@temporalio/activity';
import { LIMITS } from '../../../domain/run/limits.ts';

/** The shortest time of a call, in milliseconds: with less nothing could answer. */
const CALL_MS_MIN = 1_000;

/** The time of an attempt, which all models that it asks share. */
export type AttemptTime = {
  /** Milliseconds that a call which begins now may take. */
  readonly callMs: () => number;
  /** Tells whether another model still has at least half the time of a call: what fails for want of time says nothing of it. */
  readonly hasTime: () => boolean;
};

/**
 * Divides the time of an attempt among the models that it may ask, so that one which hangs leaves time for the next. It ends before Temporal's own
 * timeout, so that the attempt can still say what became of it.
 *
 * @param begunAt When the attempt began, on the monotonic clock.
 */
export function attemptTime(begunAt: number, modelsMax: number): AttemptTime {
  const attemptMs = activityInfo().startToCloseTimeoutMs - LIMITS.settleMs;
  const shareMs = Math.floor(attemptMs / modelsMax);
  const leftMs = (): number => attemptMs - (performance.now() - begunAt);
  return {
    callMs: () => Math.max(CALL_MS_MIN, Math.min(shareMs, Math.ceil(leftMs()))),
    hasTime: () => leftMs() >= shareMs / 2,
  };
}
