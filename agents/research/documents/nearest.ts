/** Finds the names that look most like one that does not exist, most alike first, by the pairs of letters they share (Dice). */
export function nearest(name: string, names: readonly string[], countMax: number): readonly string[] {
  return names
    .map((candidate) => ({ candidate, likeness: likeness(name, candidate) }))
    .toSorted((a, b) => b.likeness - a.likeness)
    .slice(0, countMax)
    .map(({ candidate }) => candidate);
}

function likeness(a: string, b: string): number {
  const [of, and] = [pairsOf(a), pairsOf(b)];
  return (2 * [...of].filter((pair) => and.has(pair)).length) / Math.max(1, of.size + and.size);
}

function pairsOf(name: string): ReadonlySet<string> {
  const letters = name.toLowerCase();
  return new Set(Array.from({ length: Math.max(0, letters.length - 1) }, (_, at) => letters.slice(at, at + 2)));
}
