import type { Observation } from './observation.ts';
import { LIMITS } from './limits.ts';
import type { ModelResult, ToolResult } from './results.ts';
import type { Outcome } from './run-end.ts';
import type { Run } from './run.ts';
import { isNotWorthwhile } from './worth.ts';

/** Why a run ended before its model said that it was done. */
export type ExitReason = 'goal' | 'no-new-information' | 'deadline' | 'repeated-calls' | 'expected-value';

/** Why the model is asked once more, for an answer. */
export type ClosingReason = ExitReason;

/** That a run closes, or why it has ended early. */
export type RunExit = {
  readonly reason: ExitReason;
  /** Closing calls that were made. */
  readonly closings: number;
  /** Whether one of them gave an answer. */
  readonly isAnswered: boolean;
};

/** What the run has been told lately, as digests of results, and for how many turns in a row nothing was new. */
export type News = { readonly known: readonly string[]; readonly isFresh: boolean; readonly staleTurns: number };

/** How long the newest turns took, in milliseconds of work: their model calls, and all of them. `open` is the turn that goes on. */
export type Pace = { readonly calls: readonly number[]; readonly turns: readonly number[]; readonly open: number };

const NO_NEWS: News = { known: [], isFresh: false, staleTurns: 0 };
const NO_PACE: Pace = { calls: [], turns: [], open: 0 };

/** Tells the model why it is asked for the last time. Part of the transcript, so that a later call has the same prefix. */
export function closingWords(reason: ClosingReason): string {
  switch (reason) {
    case 'goal':
      return 'What you were to do is done. Give your closing answer now, in words; no tool is called any more.';
    case 'no-new-information':
      return 'Your last calls told you nothing that you did not know. Answer now with what you have, and say what you could not find out; no tool is called any more.';
    case 'deadline':
      return 'The time of this run is almost up. Answer now with what you have, and say what is missing; no tool is called any more.';
    case 'repeated-calls':
      return 'You make the same call again and again. Answer now with what you have, and say what you could not find out; no tool is called any more.';
    case 'expected-value':
      return 'More work on this is not worth what it costs. Answer now with what you have, and say what is missing; no tool is called any more.';
  }
}

/**
 * Says whether the next model call is to be the closing one, and why. A run closes for its deadline when there is no time left for a turn like its slowest
 * ones and a closing call after it: an answer with what there is is worth more than an end in the middle. Pure: `now` is the workflow's clock.
 */
export function closingOf(run: Run, now: number | undefined): ClosingReason | null {
  if (run.plan?.exit === undefined) return null;
  const { exit } = run;
  if (exit !== undefined) return exit.closings < LIMITS.closingsMax ? exit.reason : null;
  if (now !== undefined && isTimeShort(run, now)) return 'deadline';
  const { worth } = run.plan.exit;
  return worth !== undefined && isNotWorthwhile(worth, run.turn, run.costs ?? []) ? 'expected-value' : null;
}

function isTimeShort({ start, pace = NO_PACE }: Run, now: number): boolean {
  if (pace.calls.length === 0) return false;
  const nextTurnMs = p95(newest([...pace.turns, pace.open]));
  return start.deadlineAt - now < nextTurnMs + p95(pace.calls) + LIMITS.closingMarginMs;
}

/** The nearest-rank percentile; of fewer than twenty values it is the largest. */
function p95(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
}

/** Gives the end of a run whose closing calls are used up: a model that goes on calling tools is not asked forever. A conversation just goes on. */
export function closedOutcome({ exit, start, plan }: Run): Outcome | null {
  if (plan?.exit === undefined || exit === undefined) return null;
  if (start.kind !== 'single' || exit.closings < LIMITS.closingsMax) return null;
  if (exit.reason === 'goal' || exit.isAnswered) return { kind: 'completed' };
  const message = `the run was to close (${exit.reason}), and the model gave no answer in ${exit.closings} calls`;
  return { kind: 'failed', cause: 'model-error', message };
}

/** Names why a run with this outcome ended early; null where something else ended it. */
export function exitReasonOf({ exit, plan }: Run, { kind }: Outcome): ExitReason | null {
  if (exit === undefined || (kind !== 'completed' && kind !== 'failed')) return null;
  const isOwnEnd = exit.reason === 'repeated-calls' && plan?.exit?.polls === undefined;
  return exit.closings > 0 || isOwnEnd ? exit.reason : null;
}

/** Folds an observation into what early exits are decided on. `before` is the run as the observation met it, `after` without this. */
export function evolveExit(before: Run, after: Run, observation: Observation): Run {
  return after.plan?.exit === undefined ? after : closeRepeats(note(before, after, observation));
}

function note(before: Run, after: Run, observation: Observation): Run {
  if (observation.kind === 'model-called' && observation.result.kind === 'replied') {
    return noteReply(before, after, observation.result, observation.activeMs);
  }
  if (observation.kind === 'tools-called') {
    return noteResults(before, notePace(after, observation.activeMs), observation.results);
  }
  // A person has decided.
  if (observation.kind === 'approval-settled') return hasPolls(after) ? noteNews(after, null) : after;
  if (observation.kind !== 'deferred-settled') return after;
  const call = before.calls.find(({ index }) => index === observation.index);
  const result = call?.deferred?.completion?.result ?? { error: '' };
  return noteGoal(noteNews(after, null), call?.tool ?? '', 'output' in result ? 'ok' : 'error');
}

/** Forgets what speaks for an end: somebody has said something, and it may change everything. */
export function withoutExit(run: Run): Run {
  const { exit: _exit, news: _news, ...rest } = run;
  return rest;
}

function noteReply(before: Run, after: Run, reply: ModelResult & { kind: 'replied' }, activeMs: number): Run {
  const { calls, turns, open } = before.pace ?? NO_PACE;
  const pace = {
    calls: newest([...calls, activeMs]),
    turns: open === 0 ? turns : newest([...turns, open]),
    open: activeMs,
  };
  const next: Run = {
    ...after,
    pace,
    ...(after.news === undefined ? {} : { news: { ...after.news, isFresh: false } }),
    ...costsOf(before, after),
  };
  const isRepeated = reply.misfit === undefined && next.repeated.times >= LIMITS.repeatsToEnd;
  if (isRepeated && next.outcome !== null && before.outcome === null) {
    return { ...next, exit: { reason: 'repeated-calls', closings: 0, isAnswered: false } };
  }
  if (reply.closing === undefined) return next;
  const { closings = 0, isAnswered = false } = before.exit ?? {};
  return {
    ...next,
    exit: {
      reason: reply.closing,
      closings: closings + 1,
      isAnswered: isAnswered || reply.answer !== undefined,
    },
  };
}

/** What the newest turns' calls cost, where something is decided by it. What a compaction costs is no turn's. */
function costsOf({ total, costs = [] }: Run, after: Run): Pick<Run, 'costs'> {
  if (after.plan?.exit?.worth === undefined) return {};
  const cost = BigInt(after.total.costPico) - BigInt(total.costPico);
  return { costs: [...costs, String(cost < 0n ? 0n : cost)].slice(-LIMITS.costedTurnsMax) };
}

/**
 * Closes a run whose turn was the same once more as often as is borne. The turn is over, so that no call of it is left without a result; as many
 * calls were made as where a run ended with the next one.
 */
function closeRepeats(run: Run): Run {
  if (!hasPolls(run) || run.exit !== undefined || run.outcome !== null) return run;
  if (run.repeated.times < LIMITS.repeatsToEnd - 1 || run.calls.length > 0) return run;
  return { ...run, exit: { reason: 'repeated-calls', closings: 0, isAnswered: false } };
}

/** Plans of earlier builds have none: their runs end repeated calls at once. */
function hasPolls({ plan }: Run): boolean {
  return plan?.exit?.polls !== undefined;
}

function notePace(run: Run, activeMs: number): Run {
  const { pace = NO_PACE } = run;
  return { ...run, pace: { ...pace, open: pace.open + activeMs } };
}

function newest(values: readonly number[]): readonly number[] {
  return values.slice(-LIMITS.measuredTurnsMax);
}

function noteResults(
  before: Run,
  after: Run,
  results: readonly { readonly index: number; readonly result: ToolResult }[],
): Run {
  const toolOf = (index: number): string => before.calls.find((call) => call.index === index)?.tool ?? '';
  const polls = after.plan?.exit?.polls ?? [];
  // What a poll tells is neither news nor a sign of a circle.
  const telling = results.filter(({ index }) => !polls.includes(toolOf(index)));
  const told = telling.reduce((run, { result }) => noteNews(run, tellsOf(result)), after);
  const noted = results.reduce((run, { index, result }) => noteGoal(run, toolOf(index), result.outcome), told);
  if (noted.calls.length > 0 || telling.length === 0) return noted;
  const isNewRead = telling.every(({ result }) => tellsOf(result) !== null) && noted.news?.isFresh === true;
  return judgeNews(isNewRead ? withoutRepeat(noted) : noted);
}

function tellsOf(result: ToolResult): string | null {
  return 'tells' in result ? (result.tells ?? null) : null;
}

/** The same reads that now tell something else are no repetition, but the first of a new count. */
function withoutRepeat(run: Run): Run {
  return hasPolls(run) && run.repeated.times > 1 ? { ...run, repeated: { ...run.repeated, times: 1 } } : run;
}

function noteGoal(run: Run, tool: string, outcome: ToolResult['outcome']): Run {
  if (run.exit?.reason === 'goal') return run;
  const isMet = run.plan?.exit?.goals.some((goal) => {
    const wanted = goal.outcome ?? 'ok';
    return goal.tool === tool && (outcome === wanted || (goal.outcome === undefined && outcome === 'already-done'));
  });
  return isMet === true ? { ...run, exit: { reason: 'goal', closings: 0, isAnswered: false } } : run;
}

/** Only reads say what they tell; everything else changes something, and so is news. */
function noteNews(run: Run, tells: string | null): Run {
  const { known, isFresh, staleTurns } = run.news ?? NO_NEWS;
  if (tells !== null && known.includes(tells)) return { ...run, news: { known, isFresh, staleTurns } };
  const remembered = tells === null ? known : [...known, tells].slice(-LIMITS.rememberedResultsMax);
  return { ...run, news: { known: remembered, isFresh: true, staleTurns: 0 } };
}

/** The turn is over: when nothing in it was new, the model is told first, and then asked to close. */
function judgeNews(run: Run): Run {
  const { news } = run;
  if (news === undefined || news.isFresh || run.exit !== undefined) return run;
  const staleTurns = news.staleTurns + 1;
  const next: Run = { ...run, news: { ...news, staleTurns } };
  if (staleTurns >= LIMITS.staleTurnsToClose) {
    return { ...next, exit: { reason: 'no-new-information', closings: 0, isAnswered: false } };
  }
  // Who makes the same call again and again was told so already.
  if (staleTurns !== LIMITS.staleTurnsToGuide || run.repeated.times >= LIMITS.repeatsToGuide) return next;
  const text = `The results of your last ${staleTurns} turns told you nothing that you did not know. Use what you have, ask for something else, or say what cannot be found out.`;
  return {
    ...next,
    waiting: [...next.waiting, { kind: 'guidance', id: `perdure:stale-${run.turn}`, text, principal: 'perdure' }],
  };
}
