import type { Cause } from './cause.ts';
import { LIMITS } from './limits.ts';
import type { ExitReason } from './early-exit.ts';
import type { Outcome } from './run-end.ts';

/**
 * What a run's success is worth, and how likely it still is, by the turns that were made. Recorded at admission, so that every replay decides the same.
 */
export type WorthPlan = {
  /** Pico-dollars as a decimal string. */
  readonly valuePico: string;
  readonly odds: Odds;
};

/**
 * Chances that a run which has made so many turns, and makes another, succeeds in the end: each holds until the next. `until` is the number of turns
 * from which too few earlier runs are known.
 */
export type Odds = {
  readonly steps: readonly (readonly [turns: number, millionths: number])[];
  readonly until: number;
};

/** Ends of earlier runs that are alike: how many, and after how many turns. */
export type EndsAlike = {
  readonly turns: number;
  readonly runs: number;
  readonly kind: Outcome['kind'];
  readonly cause: Cause | null;
  /** Whether an account above the run was used up. */
  readonly isOthers: boolean;
  readonly exit: ExitReason | null;
};

/** Failures that say something of the task. The others are of a provider, a network or a person, and say nothing of the next run. */
const TASK_CAUSES: readonly Cause[] = ['model-error', 'tool-error', 'tool-timeout', 'validation'];

/** The 95th percentile of the normal distribution: of twenty runs that go on by this bound, one was right to stop. */
const Z = 1.645;

const MILLION = 1_000_000;

/**
 * Says whether a run's end was a success; null where it says nothing about that: somebody called it off, or it was closed by these very odds. An agent
 * that names goals has succeeded where one was met.
 */
function isSuccess({ kind, cause, isOthers, exit }: EndsAlike, hasGoals: boolean): boolean | null {
  if (exit === 'expected-value') return null;
  switch (kind) {
    case 'completed':
      return hasGoals ? exit === 'goal' : exit === null;
    case 'budget-exhausted':
      return isOthers ? null : false;
    case 'expired':
      return false;
    case 'failed':
      return cause !== null && TASK_CAUSES.includes(cause) ? false : null;
    case 'cancelled':
    case 'refused':
      return null;
  }
}

/**
 * Estimates the odds from how earlier runs ended: of those that made more than `n` turns, the share that succeeded in the end, and of that the upper Wilson
 * bound, so that chance and a small number of runs speak for going on. Null while too few are known.
 */
export function oddsOf(ends: readonly EndsAlike[], hasGoals: boolean): Odds | null {
  const counted = ends.flatMap((end) => {
    const success = isSuccess(end, hasGoals);
    return success === null ? [] : [{ turns: end.turns, runs: end.runs, successes: success ? end.runs : 0 }];
  });
  const turns = [...new Set([0, ...counted.map((each) => each.turns)])].toSorted((a, b) => a - b);
  const known = turns.map((n) => {
    const later = counted.filter((each) => each.turns > n);
    const sum = (count: (each: (typeof later)[number]) => number): number =>
      later.reduce((all, each) => all + count(each), 0);
    return { n, runs: sum((each) => each.runs), successes: sum((each) => each.successes) };
  });
  const enough = known.filter(({ runs }) => runs >= LIMITS.worthRunsMin);
  const until = known.find(({ runs }) => runs < LIMITS.worthRunsMin)?.n;
  if (enough.length === 0 || until === undefined) return null;
  const steps = enough.map(({ n, runs, successes }) => [n, upperBound(successes, runs)] as const);
  return { steps: thinned(steps), until };
}

/** The Wilson score bound, one-sided at 95 %, in millionths. */
function upperBound(successes: number, runs: number): number {
  const share = successes / runs;
  const spread = Z * Math.sqrt((share * (1 - share)) / runs + (Z * Z) / (4 * runs * runs));
  const bound = (share + (Z * Z) / (2 * runs) + spread) / (1 + (Z * Z) / runs);
  return Math.min(MILLION, Math.ceil(bound * MILLION));
}

/** Bounds what travels with the plan: neighbours become one, with the better chance of the two. */
function thinned(steps: Odds['steps']): Odds['steps'] {
  if (steps.length <= LIMITS.worthStepsMax) return steps;
  const halved = steps.flatMap(([turns, millionths], index) =>
    index % 2 === 0 ? [[turns, Math.max(millionths, steps[index + 1]?.[1] ?? 0)] as const] : [],
  );
  return thinned(halved);
}

/**
 * Says whether another turn is worth less than it costs: chance × value < cost. The chance is that of success in the end and the cost that of one turn alone, so
 * that where this is true going on cannot pay however many turns it takes. Whole numbers only.
 *
 * @param turns Turns made.
 * @param costs What the newest turns cost, in pico-dollars.
 */
export function isNotWorthwhile({ valuePico, odds }: WorthPlan, turns: number, costs: readonly string[]): boolean {
  const chance = odds.steps.findLast(([from]) => from <= turns)?.[1];
  if (chance === undefined || turns >= odds.until || costs.length === 0) return false;
  const sum = costs.reduce((all, cost) => all + BigInt(cost), 0n);
  // chance / 1,000,000 × value < sum / number
  return BigInt(chance) * BigInt(valuePico) * BigInt(costs.length) < sum * BigInt(MILLION);
}
