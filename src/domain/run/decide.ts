import { utf8Bytes } from '../json.ts';
import type { Decision, HumanWait } from './decision.ts';
import { isDeferred, nextCall } from './deferred-calls.ts';
import { closedOutcome, closingOf, exitReasonOf } from './early-exit.ts';
import { lastAnswerOf } from './last-answer.ts';
import { LIMITS } from './limits.ts';
import type { RunPlan } from './plan.ts';
import type { Dimension, Outcome, RunEnd } from './run-end.ts';
import type { PendingCall, Run, WaitingInput } from './run.ts';

/** What the shell knows and the state does not. */
export type Surroundings = {
  readonly isHistoryLong: boolean;
  /** The workflow's clock, in milliseconds since the epoch. Without it no run closes for its deadline. */
  readonly now?: number;
};

/**
 * Decides what a run does next: the only place that chooses. Pure, so that the same state decides the same on every replay.
 *
 * The order is the policy: what must end ends, what is paused waits, what people said is heard, calls that were asked for are
 * answered, and only then the model is asked again.
 */
export function decide(run: Run, { isHistoryLong, now }: Surroundings): Decision {
  if (run.earlierEnd !== null) return { kind: 'end', end: run.earlierEnd };
  if (run.outcome !== null) return end(run, run.outcome);
  if (run.stop !== null) return end(run, stopOutcome(run));
  if (isHistoryLong && isBetweenTurns(run)) return { kind: 'continue-as-new' };
  if (run.isPaused) return { kind: 'pause' };
  if (run.plan === null) return { kind: 'admit' };
  if (run.waiting.length > 0) return { kind: 'perceive', inputs: nextInputs(run) };
  if (run.unknownEffect !== null) return waitFor({ kind: 'unknown-effect', effectKey: run.unknownEffect });

  if (run.closedBy) return end(run, exhaustedBy(run, run.closedBy));
  const call = nextCall(run.calls);
  const dimension =
    run.exhausted ?? (call === undefined ? usedByTurn(run, run.plan) : usedByCalls(run, run.plan, call));
  const hasAnswer = run.isAnswered && call === undefined;
  if (dimension !== null && !hasAnswer) {
    const canTopUp = run.turn < LIMITS.turnsMax;
    if (run.start.whenExhausted === 'wait' && canTopUp) return waitFor({ kind: 'top-up', dimension });
    return end(run, exhaustedBy(run, dimension));
  }
  if (call !== undefined) return answerCall(run, run.plan, call);
  if (hasAnswer) {
    if (run.plan.revisionsMax !== null && !run.isReflected) return { kind: 'reflect', turn: run.turn };
    if (run.start.kind === 'single') return end(run, { kind: 'completed' });
  }
  if (run.turn - run.turnsBefore >= run.plan.turnsPerExecution) return { kind: 'continue-as-new' };
  if (hasAnswer) return waitFor({ kind: 'message' });
  if (run.throttle) return { kind: 'await-rate', turn: run.turn + 1, throttle: run.throttle };
  const closed = closedOutcome(run);
  if (closed !== null) return end(run, closed);
  const closing = closingOf(run, now);
  // A closing prompt still fits, unless it was refused; there is no later one to make room for.
  const isCompactionLeft = closing === null || (run.compaction?.kind === 'due' && run.compaction.was === 'refused');
  if (run.compaction?.kind === 'due' && run.head !== null && isCompactionLeft) {
    return { kind: 'compact', turn: run.turn, head: run.head, through: run.compaction.through };
  }
  // A closing call is the last answer itself.
  const lastAnswer = closing === null ? lastAnswerOf(run, run.plan) : null;
  return {
    kind: 'call-model',
    turn: run.turn + 1,
    delta: deltaOf(run),
    ...(closing === null ? {} : { closing }),
    ...(lastAnswer === null ? {} : { lastAnswer }),
  };
}

/** A turn is over, nothing is in flight and nothing waits to be heard: only here may the run continue as new. */
function isBetweenTurns(run: Run): boolean {
  return run.plan !== null && run.calls.length === 0 && run.waiting.length === 0;
}

/** Takes as many waiting messages as one activity may carry, at least one. */
function nextInputs(run: Run): readonly WaitingInput[] {
  let bytes = 0;
  const fitting = run.waiting.findIndex((input) => {
    bytes += 'text' in input ? utf8Bytes(input.text) : 0;
    return bytes > LIMITS.inputBytesMax;
  });
  return fitting === -1 ? run.waiting : run.waiting.slice(0, Math.max(fitting, 1));
}

/** Lists what the next model call adds to the transcript: results in the order of their calls, then what people said. */
function deltaOf(run: Run): readonly string[] {
  return [...run.results.toSorted((a, b) => a.index - b.index).map((result) => result.ref), ...run.inputs];
}

function answerCall(run: Run, plan: RunPlan, call: PendingCall): Decision {
  const { verdict } = call;
  if (isDeferred(call)) return { kind: 'await-deferred', turn: run.turn, calls: run.calls.filter(isDeferred) };
  if (verdict.kind === 'ask') return waitFor({ kind: 'answer', index: call.index, deadlineMs: verdict.deadlineMs });
  if (needsApproval(call)) return { kind: 'await-approval', turn: run.turn, call };
  return { kind: 'call-tools', turn: run.turn, calls: groupOf(run, plan) };
}

/** One group at a time: consecutive reads together, or one write. */
function groupOf(run: Run, plan: RunPlan): readonly PendingCall[] {
  const calls = run.calls.filter((call) => !isDeferred(call));
  const next = calls.findIndex((call) => !isRead(plan, call) || needsApproval(call));
  return next === -1 ? calls : calls.slice(0, Math.max(next, 1));
}

function isRead(plan: RunPlan, call: PendingCall): boolean {
  return plan.tools[call.tool]?.effect === 'read';
}

function needsApproval(call: PendingCall): boolean {
  return call.verdict.kind === 'approve' && call.approval?.isApproved !== true;
}

/** A question to a person is no tool call, and a deferred one was counted when it began. */
function usedByCalls(run: Run, plan: RunPlan, call: PendingCall): Dimension | null {
  if (call.verdict.kind === 'ask' || isDeferred(call)) return null;
  return run.toolCalls + groupOf(run, plan).length > plan.limits.toolCalls ? 'tool-calls' : null;
}

/** The turn that mends an answer comes on top: what was paid for is worth one more. */
function usedByTurn(run: Run, { limits, repairsLast }: RunPlan): Dimension | null {
  const mending = repairsLast === true ? (run.repairs ?? 0) : 0;
  if (run.turn >= Math.min(limits.turns + mending, LIMITS.turnsMax)) return 'turns';
  if (run.total.tokens >= limits.tokens) return 'tokens';
  if (BigInt(run.total.costPico) >= BigInt(limits.costPico)) return 'usd';
  return run.activeMs >= limits.activeMs ? 'active-time' : null;
}

function exhaustedBy({ exhaustedAccount }: Run, dimension: Dimension): Outcome {
  const account = exhaustedAccount ? { account: exhaustedAccount } : {};
  return { kind: 'budget-exhausted', dimension, ...account };
}

function stopOutcome(run: Run): Outcome {
  switch (run.stop?.kind) {
    case 'expired':
      return { kind: 'expired' };
    case 'stop':
      return { kind: 'cancelled', reason: run.stop.reason };
    case 'cancel':
    case undefined:
      return { kind: 'cancelled', reason: 'cancelled' };
  }
}

function waitFor(wait: HumanWait): Decision {
  return { kind: 'await-human', wait };
}

function end(run: Run, outcome: Outcome): Decision {
  const reason = exitReasonOf(run, outcome);
  const result: RunEnd = {
    outcome,
    answer: run.answer,
    release: run.plan?.release ?? null,
    turns: run.turn,
    toolCalls: run.toolCalls,
    tokens: run.total.tokens,
    costPico: run.total.costPico,
    ...(reason === null ? {} : { exit: { reason } }),
  };
  return { kind: 'end', end: result };
}
