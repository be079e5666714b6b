/** Writes cents as USD with two decimals: `42.50`. A text, because a JSON number would lose the last zero. */
export function usdFromCents(cents: number): string {
  return `${Math.trunc(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
}

/** Turns an amount in USD with at most two decimals into cents. */
export function centsFromUsd(usd: number): number {
  return Math.round(usd * 100);
}
