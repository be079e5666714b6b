import { correct, type Fairness, inFairOrder, queue, serve, type Waiter } from './fair-queue.ts';
import { gcra, type Pace, settleGcra } from './gcra.ts';
import { RATE_DIMENSIONS, type RateCost, type RateDimension, type RateLimit } from './rate-limit.ts';
import { addToWindow, type Slots, spanMs, usedInWindow, windowWaitMs } from './sliding-window.ts';
import type { Calibration } from './token-estimate.ts';

/** What was let through of one dimension: how far it is from worked off, and what the last window holds. */
type Bucket = { readonly tat: number; readonly slots: Slots };

/** All that is known of a credential's rate. Times are milliseconds of one clock: the database's. */
export type RateState = {
  readonly buckets: { readonly [dimension in RateDimension]?: Bucket };
  readonly fairness: Fairness;
  /** What calls use of what was reserved for them, on average. It foretells how fast a queue moves. */
  readonly usedShare: number;
  readonly models: Readonly<Record<string, Calibration>>;
  /** Until when nothing passes, because the provider said so. Missing where it never did. */
  readonly heldUntil?: number;
  /** When a process last asked that was started with the limit in force. Missing in rows of builds before. */
  readonly heardAt?: number;
};

/** A call that was let through. */
export type RateGrant = { readonly at: number; readonly tenant: string; readonly cost: RateCost };

/** A grant that is settled: with its tenant's weight, and how long after it the call was sent, in milliseconds. */
export type SettledGrant = RateGrant & { readonly weight: number; readonly lateMs?: number };

export type RateAnswer =
  | { readonly kind: 'granted'; readonly state: RateState; readonly grant: RateGrant }
  | {
      readonly kind: 'denied';
      readonly state: RateState;
      /** The limit that holds the call back longest. */
      readonly dimension: RateDimension;
      readonly waitMs: number;
    }
  /** The call alone is more than a window may hold. */
  | { readonly kind: 'never'; readonly dimension: RateDimension; readonly limit: number; readonly cost: number };

export const FRESH_RATE_STATE: RateState = {
  buckets: {},
  fairness: { virtual: 0, finish: {} },
  usedShare: 1,
  models: {},
};

/** Share of a window that may go out at once after a pause: 3 seconds of a minute. A larger one makes the next minute wait as much longer. */
const BURST = 0.05;

/** Calls that may go out at once where each is larger than the burst, or where it is less than so many requests. */
const LARGE_CALLS = 2;

/** Shortest wait that is worth telling, in milliseconds. */
const WAIT_MS_MIN = 20;

/** Weight of the newest call in `usedShare`, and the least that it can be: a queue is not foretold to vanish. */
const USED_GAIN = 1 / 16;
const USED_SHARE_LEAST = 0.2;

/**
 * Asks whether a call may be made now. `others` are those that wait. Two rules hold together: GCRA paces, so that a window is not used up at
 * its start, and the sum of the window is what a provider enforces, so that no window of its clock sees more than the limit.
 * Calls before this one in the fair order keep their room, whether they ask at this moment or not.
 */
export function askRate(
  given: RateState,
  limit: RateLimit,
  asking: Waiter,
  others: readonly Waiter[],
  now: number,
): RateAnswer {
  const state = onClock(given, now);
  for (const dimension of RATE_DIMENSIONS) {
    const most = limit[dimension];
    const cost = asking.cost[dimension];
    if (most !== null && cost > most) return { kind: 'never', dimension, limit: most, cost };
  }
  const share = (cost: RateCost): number => shareOf(limit, cost);
  const order = inFairOrder(state.fairness, [...others, asking], share);
  const ahead = sumOf(order.slice(0, order.indexOf(asking)));
  const waits = waitsOf(state, limit, asking.cost, ahead, now);
  const heldMs = Math.max(0, (state.heldUntil ?? now) - now);
  if (heldMs === 0 && waits.every(({ waitMs }) => waitMs <= 0)) {
    const buckets = changeBuckets(state, limit, (bucket, dimension, pace) => ({
      tat: Math.max(bucket.tat, now) + asking.cost[dimension] * pace.intervalMs,
      slots: addToWindow(bucket.slots, limit.windowMs, asking.cost[dimension], now, now),
    }));
    const fairness = serve(state.fairness, asking, others, share(asking.cost));
    const grant = { at: now, tenant: asking.tenant, cost: asking.cost };
    return { kind: 'granted', state: { ...state, buckets, fairness }, grant };
  }
  const [binding] = waits.toSorted((a, b) => b.waitMs - a.waitMs);
  const expected = {
    requests: ahead.requests,
    tokens: ahead.tokens * Math.max(USED_SHARE_LEAST, Math.min(1, state.usedShare)),
  };
  const foretold = waitsOf(state, limit, asking.cost, expected, now).map(({ waitMs }) => waitMs);
  return {
    kind: 'denied',
    state: { ...state, fairness: queue(state.fairness, asking) },
    dimension: binding?.dimension ?? 'requests',
    waitMs: Math.max(WAIT_MS_MIN, Math.ceil(Math.max(heldMs, ...foretold))),
  };
}

/** Corrects a call that was let through to what it used, and counts it where its provider does: when it was sent. */
export function settleRate(
  given: RateState,
  limit: RateLimit,
  { at, tenant, weight, cost, lateMs = 0 }: SettledGrant,
  actual: RateCost,
  now: number,
): RateState {
  const state = onClock(given, now);
  const { windowMs } = limit;
  const buckets = changeBuckets(state, limit, ({ tat, slots }, dimension, pace) => {
    const settled = settleGcra(pace, tat, cost[dimension], actual[dimension]);
    // It was let through on a clock that was set back since: where it is counted cannot be told.
    if (at > now) return { tat: settled, slots };
    const others = addToWindow(slots, windowMs, -cost[dimension], at, now);
    return { tat: settled, slots: addToWindow(others, windowMs, actual[dimension], Math.min(now, at + lateMs), now) };
  });
  const fairness = correct(state.fairness, tenant, weight, shareOf(limit, actual) - shareOf(limit, cost));
  // What was not made, or not counted, says nothing of what calls use.
  const used = cost.tokens === 0 || actual.tokens === 0 ? state.usedShare : actual.tokens / cost.tokens;
  return { ...state, buckets, fairness, usedShare: state.usedShare + USED_GAIN * (used - state.usedShare) };
}

/** Lets nothing through for a while: the provider has said so. At most for a window, and then what waits goes at the limit's pace, without a burst. */
export function holdRate(given: RateState, limit: RateLimit, forMs: number, now: number): RateState {
  const state = onClock(given, now);
  const heldUntil = now + Math.min(forMs, limit.windowMs);
  const buckets = changeBuckets(state, limit, ({ tat, slots }, _dimension, { burst, intervalMs }) => ({
    tat: Math.max(tat, heldUntil + burst * intervalMs),
    slots,
  }));
  return { ...state, buckets, heldUntil: Math.max(heldUntil, state.heldUntil ?? 0) };
}

/** Puts another limit in the place of one: what is still to be worked off is worked off at the new pace. */
export function changeLimit(given: RateState, from: RateLimit, to: RateLimit, now: number): RateState {
  const state = onClock(given, now);
  const buckets = changeBuckets(state, to, ({ tat, slots }, dimension, { intervalMs }) => {
    const before = from[dimension];
    if (before === null) return { tat, slots };
    const owed = Math.max(0, tat - now) / paceOf(before, from.windowMs).intervalMs;
    return { tat: now + owed * intervalMs, slots };
  });
  return { ...state, buckets };
}

/** Keeps the distances of what was let through where the clock was set back, or is another host's: the future would hold everybody up until it comes. */
function onClock(state: RateState, now: number): RateState {
  const newest = Math.max(0, ...RATE_DIMENSIONS.map((dimension) => state.buckets[dimension]?.slots.at(-1)?.[0] ?? 0));
  if (newest <= now) return state;
  const back = newest - now;
  const buckets = Object.fromEntries(
    RATE_DIMENSIONS.flatMap((dimension) => {
      const bucket = state.buckets[dimension];
      if (bucket === undefined) return [];
      const slots = bucket.slots.map(([startMs, amount]) => [startMs - back, amount] as const);
      return [[dimension, { tat: bucket.tat - back, slots }]];
    }),
  );
  return { ...state, buckets, ...(state.heldUntil === undefined ? {} : { heldUntil: state.heldUntil - back }) };
}

/** Tells what of each limit the window that ends now holds. */
export function usedRate({ buckets }: RateState, { windowMs }: RateLimit, now: number): RateCost {
  const used = (dimension: RateDimension): number => usedInWindow(buckets[dimension]?.slots ?? [], windowMs, now);
  return { requests: used('requests'), tokens: used('tokens') };
}

function waitsOf(state: RateState, limit: RateLimit, cost: RateCost, ahead: RateCost, now: number) {
  return RATE_DIMENSIONS.flatMap((dimension) => {
    const most = limit[dimension];
    if (most === null) return [];
    const { tat, slots } = state.buckets[dimension] ?? { tat: 0, slots: [] };
    const { intervalMs, burst } = paceOf(most, limit.windowMs);
    const amount = cost[dimension];
    // Two calls above the burst may be under way at once, so that the next does not wait for what this one gives back; the window bounds them.
    const pace = { intervalMs, burst: amount > burst ? LARGE_CALLS * amount : burst };
    const before = Math.max(tat, now) + ahead[dimension] * intervalMs;
    const paced = gcra(pace, before, amount, now);
    const paceMs = paced.kind === 'allowed' ? 0 : (paced.retryMs ?? 0);
    const windowMs = windowWaitMs(slots, most, limit.windowMs, ahead[dimension] + amount, now);
    return [{ dimension, waitMs: Math.max(paceMs, windowMs) }];
  });
}

function paceOf(most: number, windowMs: number): Pace {
  return { intervalMs: spanMs(windowMs) / most, burst: Math.max(LARGE_CALLS, most * BURST) };
}

function changeBuckets(
  { buckets }: RateState,
  limit: RateLimit,
  change: (bucket: Bucket, dimension: RateDimension, pace: Pace) => Bucket,
): RateState['buckets'] {
  return Object.fromEntries(
    RATE_DIMENSIONS.flatMap((dimension) => {
      const most = limit[dimension];
      if (most === null) return [];
      const bucket = buckets[dimension] ?? { tat: 0, slots: [] };
      return [[dimension, change(bucket, dimension, paceOf(most, limit.windowMs))] as const];
    }),
  );
}

/** The share of a window that a cost takes: of the limit that it presses most. */
function shareOf(limit: RateLimit, cost: RateCost): number {
  return Math.max(
    ...RATE_DIMENSIONS.map((dimension) => {
      const most = limit[dimension];
      return most === null ? 0 : cost[dimension] / most;
    }),
  );
}

function sumOf(waiters: readonly Waiter[]): RateCost {
  return waiters.reduce(
    (sum, { cost }) => ({ requests: sum.requests + cost.requests, tokens: sum.tokens + cost.tokens }),
    { requests: 0, tokens: 0 },
  );
}
