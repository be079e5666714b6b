/** What was let through, by the slot of time in which it was: the slot's start in milliseconds, and the amount. Oldest first. */
export type Slots = readonly (readonly [startMs: number, amount: number])[];

/** Slots of a window: a finer count holds back less, and each slot is a number in a row. */
const SLOT_COUNT = 60;

/**
 * Time in milliseconds that a request may take from its permission to the provider's clock, as far as it differs from that of another request.
 * What is let through in a window and this much more never exceeds the limit.
 */
const TRAVEL_MS = 1_000;

/** How long what was let through is counted. */
export function spanMs(windowMs: number): number {
  return windowMs + TRAVEL_MS;
}

/** Says how long an amount has to wait until all that was let through in any window stays within the limit; 0 when it may pass now. */
export function windowWaitMs(slots: Slots, limit: number, windowMs: number, amount: number, now: number): number {
  const live = slots.filter(([startMs]) => !hasLeft(startMs, windowMs, now));
  let excess = live.reduce((sum, [, each]) => sum + each, amount) - limit;
  // Sums of fractions: a billionth of a token is no reason to wait.
  if (excess <= limit * 1e-9) return 0;
  for (const [startMs, each] of live) {
    excess -= each;
    if (excess <= limit * 1e-9) return leavesAt(startMs, windowMs) - now;
  }
  return spanMs(windowMs);
}

/** Counts an amount in the slot of a moment, and forgets what no window holds any more. A negative amount takes back. */
export function addToWindow(slots: Slots, windowMs: number, amount: number, at: number, now: number): Slots {
  const slotMs = windowMs / SLOT_COUNT;
  const startMs = Math.floor(at / slotMs) * slotMs;
  const live = slots.filter(([start]) => !hasLeft(start, windowMs, now));
  if (hasLeft(startMs, windowMs, now)) return live;
  const before = live.find(([start]) => start === startMs)?.[1] ?? 0;
  const others = live.filter(([start]) => start !== startMs);
  return [...others, [startMs, Math.max(0, before + amount)] as const].toSorted(([a], [b]) => a - b);
}

/** Sums what a window that ends now holds. */
export function usedInWindow(slots: Slots, windowMs: number, now: number): number {
  return slots.reduce((sum, [startMs, amount]) => (hasLeft(startMs, windowMs, now) ? sum : sum + amount), 0);
}

function leavesAt(startMs: number, windowMs: number): number {
  return startMs + windowMs / SLOT_COUNT + spanMs(windowMs);
}

function hasLeft(startMs: number, windowMs: number, now: number): boolean {
  return leavesAt(startMs, windowMs) <= now;
}
