import { hashId } from '../sha-256.ts';
import { FIRST_INPUT_ID } from './open-run.ts';
import type { RepliedCall } from './results.ts';
import type { Answer } from './run-end.ts';
import type { PendingCall, Run } from './run.ts';
import type { RetryOf } from './start.ts';

/**
 * A call that a run left without a result. `approval` is set where the write was begun under one: what was sent is settled, and nobody is
 * asked again. Everything else that needs a person asks anew.
 */
export type TakenCall = RepliedCall & { readonly index: number; readonly approval?: string };

/** Where a successor goes on: what it takes over from the run that it takes up. Small: references, and the open calls of one turn. */
export type Taken = {
  readonly head: string | null;
  /** Turns that are not made again. */
  readonly turn: number;
  /** Results of that turn's calls, by index, and inputs that came after it: with the open calls' results the next model call's delta. */
  readonly results: readonly { readonly index: number; readonly ref: string }[];
  readonly inputs: readonly string[];
  readonly calls: readonly TakenCall[];
  readonly answer: Answer | null;
  /** Whether that turn's reply answers everything that was said. */
  readonly isAnswered: boolean;
  /** Whether the first input was read already: then it is not read again. */
  readonly isInputHeard: boolean;
};

/** The state before any turn. */
export const NOTHING_TAKEN: Taken = {
  head: null,
  turn: 0,
  results: [],
  inputs: [],
  calls: [],
  answer: null,
  isAnswered: false,
  isInputHeard: false,
};

/**
 * Makes the state of a run that takes up another one. What was said to the run meanwhile waits as before. An older build admits it like
 * any other: such a run must not begin from nothing, under a root of its own.
 */
export function takeOver(run: Run, { runId }: RetryOf, taken: Taken | undefined): Run {
  if (taken === undefined) {
    return refuse(
      run,
      `a worker of an older build admitted this run and could not take up run ${runId}: retry it once more`,
    );
  }
  const waiting = taken.isInputHeard ? run.waiting.filter(({ id }) => id !== FIRST_INPUT_ID) : run.waiting;
  const { head, turn, results, inputs, answer, isAnswered } = taken;
  const next: Run = {
    ...run,
    waiting,
    head,
    turn,
    // The turns of the run before are in no history of this one.
    turnsBefore: turn,
    results,
    inputs,
    calls: taken.calls.map((call) => toPending(run, turn, call)),
    answer,
    isAnswered,
  };
  const isInputMissing = !taken.isInputHeard && !waiting.some(({ id }) => id === FIRST_INPUT_ID);
  if (!isInputMissing) return next;
  return refuse(
    next,
    `run ${runId} ended before its input was read, and nothing keeps that input any more: start a new run`,
  );
}

function refuse(run: Run, reason: string): Run {
  return { ...run, outcome: { kind: 'refused', reason } };
}

function toPending(run: Run, turn: number, { approval, ...call }: TakenCall): PendingCall {
  if (call.verdict.kind !== 'approve') return call;
  const id = approval ?? hashId(run.id, String(turn), String(call.index));
  return { ...call, approval: { id, isApproved: approval !== undefined } };
}
