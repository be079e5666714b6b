/**
 * Checks a release asks for before an answer leaves the run.
 * `groundedPatterns` are regular expressions of ids and figures: every match in the answer must stand somewhere in what the run
 * was told or looked up.
 */
export type ReflectionPolicy = {
  readonly groundedPatterns: readonly string[];
  /** How often an answer may be sent back before it is given as it is, with a warning. */
  readonly revisionsMax: number;
};

/** Finds the claims of an answer that no source holds. Each claim is listed once, in the order of the answer. */
export function ungroundedClaims(
  patterns: readonly string[],
  answer: string,
  sources: readonly string[],
): readonly string[] {
  const claims = new Set<string>();
  for (const pattern of patterns) for (const match of answer.matchAll(new RegExp(pattern, 'gu'))) claims.add(match[0]);
  return [...claims].filter((claim) => {
    const whole = new RegExp(`(?<![\\w-])${RegExp.escape(claim)}(?![\\w-])`, 'u');
    return !sources.some((source) => whole.test(source));
  });
}
