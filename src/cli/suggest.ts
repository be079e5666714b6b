/** Letters that may differ between what was typed and what was meant: two, and in short names one. */
function differencesMax(name: string): number {
  return name.length <= 3 ? 1 : 2;
}

/** Finds the known name that was probably meant, or null. */
export function suggest(typed: string, known: readonly string[]): string | null {
  const ranked = known
    .map((name) => ({ name, distance: editDistance(typed.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance);
  const [best] = ranked;
  if (best !== undefined && best.distance <= differencesMax(best.name)) return best.name;
  return typed.length >= 2 ? (known.find((name) => name.startsWith(typed)) ?? null) : null;
}

/**
 * Counts the insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
 *
 * @see Damerau, "A technique for computer detection and correction of spelling errors", 1964
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwapped ? (beforeLast[j - 2] ?? 0) + 1 : Infinity;
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (isSame ? 0 : 1), swap));
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
