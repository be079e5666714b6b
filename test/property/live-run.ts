import { type Continuation, packContinuation, unpackContinuation } from '../../src/domain/run/continuation.ts';
import { decide } from '../../src/domain/run/decide.ts';
import type { Decision } from '../../src/domain/run/decision.ts';
import { evolve } from '../../src/domain/run/evolve.ts';
import type { RunMessage } from '../../src/domain/run/message.ts';
import { messageProblem } from '../../src/domain/run/messages.ts';
import type { Observation } from '../../src/domain/run/observation.ts';
import { openRun } from '../../src/domain/run/open-run.ts';
import type { Run } from '../../src/domain/run/run.ts';
import type { Choices } from './choices.ts';
import { answer } from './legal-observations.ts';
import { sendMessage } from './legal-messages.ts';
import { sampleStart } from './sample-run.ts';

/** One step of a run: what it decided, in which state, and what it became. */
export type Step = {
  readonly run: Run;
  readonly decision: Decision;
  readonly observations: readonly Observation[];
  readonly next: Run;
};

/** Each step uses up choices, and a run whose choices are used up is stopped: no generated run is longer. */
const STEPS_MAX = 600;

/** Messages that may come while one decision is carried out. */
const MESSAGES_IN_FLIGHT_MAX = 3;

/**
 * Lives a run against an environment that answers each decision with something that could really come back, and sends messages meanwhile.
 * When the choices are used up the run is stopped; the last step is its end.
 */
export function liveRun(choices: Choices): readonly Step[] {
  const sent: RunMessage[] = [];
  const steps: Step[] = [];
  const start = sampleStart(choices.oneOf(['conversation', 'single']), choices.oneOf(['wait', 'end']));
  let run = freeze(openRun('run-1', start));
  // One in three takes up another run, which may not have read its input.
  if (choices.isRare(3)) {
    const input = choices.oneOf(['', 'hello']);
    run = freeze(openRun('run-1', { ...start, input, retryOf: { runId: 'run-0' } }));
  }
  for (;;) {
    const decision = decide(run, { isHistoryLong: choices.isRare(12) });
    const step = takeStep(choices, run, decision, sent, choices.isUsedUp() || choices.isRare(100));
    steps.push(step);
    if (decision.kind === 'end') return steps;
    if (steps.length > STEPS_MAX) throw new Error('the run does not end');
    run = step.next;
  }
}

function takeStep(choices: Choices, run: Run, decision: Decision, sent: RunMessage[], mustStop: boolean): Step {
  const observations: Observation[] = [];
  let next = run;
  const observe = (observation: Observation): void => {
    observations.push(observation);
    next = freeze(evolve(next, observation));
  };
  if (decision.kind === 'end') return { run, decision, observations, next };
  if (decision.kind === 'continue-as-new') {
    const carried = JSON.parse(JSON.stringify(packContinuation(run))) as Continuation;
    return { run, decision, observations, next: freeze(unpackContinuation(carried)) };
  }
  if (mustStop)
    observe(choices.oneOf<Observation>([stopMessage(), { kind: 'cancel-requested' }, { kind: 'deadline-passed' }]));
  for (let count = choices.below(MESSAGES_IN_FLIGHT_MAX + 1); count > 0; count -= 1) {
    const message = sendMessage(choices, next, sent);
    sent.push(message);
    if (messageProblem(next, message) === null) observe({ kind: 'message-received', message });
  }
  observe(comeBack(choices, run, next, decision));
  return { run, decision, observations, next };
}

/** What comes back. A stop, or a retry of what was blocked, may call the work off; a wait is over when something woke it. */
function comeBack(
  choices: Choices,
  before: Run,
  now: Run,
  decision: Exclude<Decision, { kind: 'end' | 'continue-as-new' }>,
): Observation {
  switch (decision.kind) {
    case 'pause':
      return { kind: 'pause-ended' };
    case 'await-human': {
      const mayExpire = decision.wait.kind === 'answer' && now.waiting.length === 0 && now.stop === null;
      return { kind: 'human-waited', isOver: mayExpire && choices.isRare(4) };
    }
    case 'await-rate': {
      const isWoken = now.waiting.length > 0 || now.isPaused || now.stop !== null;
      return { kind: 'rate-waited', isOver: !isWoken || now.retries !== before.retries || choices.isRare(4) };
    }
    case 'await-approval': {
      const call = now.calls.find(({ index }) => index === decision.call.index) ?? decision.call;
      return isCalledOff(before, now, choices)
        ? { kind: 'called-off' }
        : answer(choices, before, { ...decision, call });
    }
    case 'await-deferred': {
      // Settled is the call whose result is there; one without is over when its deadline is. Anything that is said is heard first.
      const due = now.calls.find(({ deferred }) => deferred?.completion !== undefined);
      const isHeardFirst = due === undefined && (now.waiting.length > 0 || now.isPaused);
      if (isHeardFirst || isCalledOff(before, now, choices)) return { kind: 'called-off' };
      const calls = due?.deferred === undefined ? decision.calls : [{ ...due, deferred: due.deferred }];
      return answer(choices, before, { ...decision, calls });
    }
    case 'call-tools':
      if (before.blocked !== null && isCalledOff(before, now, choices)) return { kind: 'called-off' };
      return answer(choices, before, decision);
    case 'admit':
    case 'perceive':
    case 'call-model':
    case 'compact':
    case 'reflect':
      return isCalledOff(before, now, choices) ? { kind: 'called-off' } : answer(choices, before, decision);
  }
}

function isCalledOff(before: Run, now: Run, choices: Choices): boolean {
  const isRetried = before.blocked !== null && now.blocked === null;
  return (now.stop !== null || isRetried) && choices.isRare(2);
}

function stopMessage(): Observation {
  return { kind: 'message-received', message: { id: 'stop', principal: 'ann', kind: 'requestStop', reason: 'enough' } };
}

/** A state that is changed in place fails here and not in a replay. */
function freeze<Value>(value: Value): Value {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(freeze);
  }
  return value;
}
