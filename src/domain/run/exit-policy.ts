import type { WorthPlan } from './worth.ts';

/**
 * A result that makes the run's goal true, as data. `outcome` defaults to `ok`, which a repeated write that was `already-done` meets too: either
 * way what was wanted is so.
 */
export type ExitRule = { readonly tool: string; readonly outcome?: 'ok' | 'already-done' | 'error' };

/** What an agent says of early exits. */
export type ExitPolicy = {
  /** Results that make the run's goal true: after one the model is asked for its closing answer, and calls no tool any more. */
  readonly goals?: readonly ExitRule[];
  /** Reads that wait for something, such as the state of a job: the same call with the same result is then no sign of a circle. */
  readonly polls?: readonly string[];
  /** What a run that succeeds is worth, in USD: it is closed when the chance of that, times this, is below what a turn costs. */
  readonly valueUsd?: number;
};

/** A list alone is that of the goals. */
export type ExitSpec = readonly ExitRule[] | ExitPolicy;

/**
 * What a plan says of early exits. Plans of builds before them have none, and their runs none of these rules. `polls` is missing in plans of builds
 * that ended repeated calls without asking for an answer, and in which every equal call counted.
 */
export type ExitPlan = {
  readonly goals: readonly ExitRule[];
  readonly polls?: readonly string[];
  readonly worth?: WorthPlan;
};

/** Reads what an agent says of early exits, in whichever form it does. */
export function exitPolicyOf(spec: ExitSpec | undefined): ExitPolicy {
  if (spec === undefined) return {};
  return isList(spec) ? { goals: spec } : spec;
}

type Known = { readonly name: string; readonly effect: string };

/** Says what to change in an agent's early exits, or null when they are sound. */
export function exitProblem(spec: ExitSpec | undefined, tools: readonly Known[]): string | null {
  const { goals = [], polls = [], valueUsd } = exitPolicyOf(spec);
  for (const tool of [...goals.map((goal) => goal.tool), ...polls]) {
    if (!tools.some(({ name }) => name === tool)) return `exit names the tool ${tool}, which the agent does not have`;
  }
  const writing = polls.find((poll) => tools.some(({ name, effect }) => name === poll && effect !== 'read'));
  if (writing !== undefined)
    return `exit.polls names ${writing}, which is no read: only a read may be called again and again`;
  if (valueUsd === undefined || (Number.isFinite(valueUsd) && valueUsd > 0)) return null;
  return `exit.valueUsd must be an amount above 0, got ${valueUsd}`;
}

function isList(spec: ExitSpec): spec is readonly ExitRule[] {
  return Array.isArray(spec);
}
