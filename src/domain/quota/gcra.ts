/** A rate: one unit every `intervalMs`, and `burst` units at once after a pause. */
export type Pace = { readonly intervalMs: number; readonly burst: number };

/**
 * What became of a request. `tat` is the theoretical arrival time: when all that was let through has been worked off, in milliseconds of the
 * caller's clock. `retryMs` is null where the cost is more than a burst: no wait would help.
 */
export type GcraResult = {
  /** Whole units that could be let through now. */
  readonly remaining: number;
  /** Milliseconds until nothing is left to work off. */
  readonly resetMs: number;
} & (
  { readonly kind: 'allowed'; readonly tat: number } | { readonly kind: 'limited'; readonly retryMs: number | null }
);

/** Milliseconds that sums of fractions may be off by, at the large numbers of a clock. */
const ROUNDING_MS = 1 / 1_024;

/**
 * Decides by the generic cell rate algorithm whether a cost may pass now. A cost of nothing changes nothing and tells how things stand. Pure: the
 * clock is an argument, and one that goes back only makes the wait longer.
 *
 * @param tat What was given with the last cost that passed; any moment that is past, as `-Infinity`, where there was none.
 * @see ITU-T I.371; "virtual scheduling".
 */
export function gcra({ intervalMs, burst }: Pace, tat: number, cost: number, now: number): GcraResult {
  const toleranceMs = burst * intervalMs;
  const owedMs = Math.max(0, tat - now);
  const retryMs = owedMs + (cost - burst) * intervalMs;
  if (retryMs > ROUNDING_MS) return { kind: 'limited', retryMs: cost > burst ? null : retryMs, ...standing(owedMs) };
  const nextMs = owedMs + cost * intervalMs;
  return { kind: 'allowed', tat: now + nextMs, ...standing(nextMs) };

  function standing(resetMs: number): { readonly remaining: number; readonly resetMs: number } {
    const remaining = Math.floor((toleranceMs - resetMs + ROUNDING_MS) / intervalMs);
    return { remaining: Math.max(0, remaining), resetMs };
  }
}

/** Corrects what was let through: the cost turned out to be another one. */
export function settleGcra({ intervalMs }: Pace, tat: number, reserved: number, actual: number): number {
  return tat + (actual - reserved) * intervalMs;
}
