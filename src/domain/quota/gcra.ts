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

/**
 * Decides by the generic cell rate algorithm whether a cost may pass now. Pure: the clock is an argument.
 *
 * @see ITU-T I.371; "virtual scheduling".
 */
export function gcra({ intervalMs, burst }: Pace, tat: number, cost: number, now: number): GcraResult {
  const toleranceMs = burst * intervalMs;
  const next = Math.max(tat, now) + cost * intervalMs;
  const retryMs = next - toleranceMs - now;
  if (retryMs > 0) return { kind: 'limited', retryMs: cost > burst ? null : retryMs, ...standing(tat) };
  return { kind: 'allowed', tat: next, ...standing(next) };

  function standing(at: number): { readonly remaining: number; readonly resetMs: number } {
    const owedMs = Math.max(0, at - now);
    return { remaining: Math.max(0, Math.floor((toleranceMs - owedMs) / intervalMs)), resetMs: owedMs };
  }
}

/** Corrects what was let through: the cost turned out to be another one. */
export function settleGcra({ intervalMs }: Pace, tat: number, reserved: number, actual: number): number {
  return tat + (actual - reserved) * intervalMs;
}
