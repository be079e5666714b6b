import { messageHash } from './messages.ts';
import type { Run, WaitingInput } from './run.ts';
import type { RunStart } from './start.ts';

/** Makes the first state of a run: nothing is known but what the client asked for, and the input waits to be perceived. */
export function openRun(id: string, { input, attachments, ...start }: RunStart): Run {
  return {
    id,
    start,
    plan: null,
    head: null,
    results: [],
    inputs: [],
    // A run that takes up another one has an input of its own only where that one never read it.
    waiting:
      start.retryOf !== undefined && input === ''
        ? []
        : [{ ...firstInput(input, start), ...(attachments === undefined ? {} : { attachments }) }],
    turn: 0,
    turnsBefore: 0,
    compaction: null,
    calls: [],
    answer: null,
    isAnswered: false,
    isReflected: false,
    revisions: 0,
    total: { costPico: '0', tokens: 0 },
    toolCalls: 0,
    activeMs: 0,
    exhausted: null,
    blocked: null,
    unknownEffect: null,
    retries: 0,
    isPaused: false,
    stop: null,
    outcome: null,
    earlierEnd: null,
    repeated: { fingerprint: '', times: 0 },
    actions: [],
    applied: start.inputKey === undefined ? [] : [messageHash(start.inputKey)],
  };
}

function firstInput(text: string, { inputKey, principal }: Run['start']): WaitingInput {
  if (inputKey === undefined) return { kind: 'input', id: FIRST_INPUT_ID, text, principal };
  return { kind: 'input', id: inputKey, isFirst: true, text, principal };
}

/** Id of the input that the run was started with, among the messages of the run. */
export const FIRST_INPUT_ID = 'perdure:start';
