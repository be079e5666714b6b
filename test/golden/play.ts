import { packContinuation, unpackContinuation, type Continuation } from '../../src/domain/run/continuation.ts';
import { decide } from '../../src/domain/run/decide.ts';
import type { Decision } from '../../src/domain/run/decision.ts';
import { evolve } from '../../src/domain/run/evolve.ts';
import { isApplied, messageProblem } from '../../src/domain/run/messages.ts';
import type { Observation } from '../../src/domain/run/observation.ts';
import { openRun } from '../../src/domain/run/open-run.ts';
import { phaseOf } from '../../src/domain/run/phase.ts';
import type { Run } from '../../src/domain/run/run.ts';
import { describeChanges, describeDecision } from './describe.ts';
import { fieldsOf, toMessage, toObservation, type Input } from './inputs.ts';
import type { Section } from './sections.ts';

type Stage = { readonly run: Run; readonly decision: Decision };
type Played = { readonly stage: Stage; readonly output: readonly string[] };

/** Which observations can answer a decision: an input that could not happen is a mistake in the trace. */
const ANSWERS: Readonly<Record<Decision['kind'], readonly Observation['kind'][]>> = {
  admit: ['admitted', 'activity-failed', 'called-off'],
  perceive: ['perceived', 'activity-failed', 'called-off'],
  'call-model': ['model-called', 'throttled', 'activity-failed', 'called-off'],
  compact: ['compacted', 'throttled', 'activity-failed', 'called-off'],
  'call-tools': ['tools-called', 'called-off'],
  'await-approval': ['approval-settled', 'activity-failed', 'called-off'],
  'await-deferred': ['deferred-settled', 'activity-failed', 'called-off'],
  'await-human': ['human-waited'],
  'await-rate': ['rate-waited'],
  reflect: ['reflected', 'activity-failed', 'called-off'],
  pause: ['pause-ended'],
  'continue-as-new': [],
  end: [],
};

/** What a handler records while a decision is being carried out: it changes the state and decides nothing. */
const RECORDED: readonly Observation['kind'][] = ['cancel-requested', 'deadline-passed', 'deferred-settling'];

/** Plays a trace and prints after each input what it changed, and after each observation what is decided next. */
export function play(sections: readonly Section[]): readonly Section[] {
  let stage: Stage | null = null;
  return sections.map((section) => {
    if (section.output === null) return section;
    const [line = '', ...details] = section.input.filter((text) => !text.startsWith('#'));
    const [, verb = '', rest = ''] = /^(\S+) ?(.*)$/.exec(line) ?? [];
    const input = { verb, rest, details };
    const played: Played = stage === null ? start(input) : playInput(stage, input);
    stage = played.stage;
    return { ...section, output: played.output };
  });
}

/** `start [kind=conversation] [whenExhausted=wait] [input=WORD] [retryOf=RUN]` */
function start({ verb, rest }: Input): Played {
  if (verb !== 'start') throw new Error(`a trace begins with start, not with ${verb}`);
  const { kind, whenExhausted, retryOf, input } = fieldsOf(rest);
  const run = openRun('run-1', {
    tenant: 'acme',
    principal: 'ann',
    agent: 'support',
    input: input ?? (retryOf === undefined ? 'hello' : ''),
    startKey: 'key-1',
    kind: kind === 'conversation' ? kind : 'single',
    mode: 'live',
    deadlineAt: 0,
    whenExhausted: whenExhausted === 'wait' ? whenExhausted : 'end',
    ...(retryOf === undefined ? {} : { retryOf: { runId: retryOf } }),
  });
  return decideNext(run, []);
}

function playInput(stage: Stage, input: Input): Played {
  const { run, decision } = stage;
  if (input.verb === 'continued') return continued(stage);
  const message = toMessage(input, run);
  if (message !== null) {
    if (decision.kind === 'end') throw new Error('the run has ended');
    const problem = messageProblem(run, message);
    if (problem !== null) return { stage, output: [`refused: ${problem}`] };
    if (isApplied(run, message.id)) return { stage, output: ['already applied'] };
    return recorded(stage, { kind: 'message-received', message });
  }
  const observation = toObservation(input, run, decision);
  if (RECORDED.includes(observation.kind)) return recorded(stage, observation);
  if (!ANSWERS[decision.kind].includes(observation.kind)) {
    throw new Error(`${observation.kind} cannot answer ${describeDecision(decision)}`);
  }
  const next = evolve(run, observation);
  return decideNext(next, describeChanges(run, next));
}

function recorded({ run, decision }: Stage, observation: Observation): Played {
  const next = evolve(run, observation);
  return { stage: { run: next, decision }, output: describeChanges(run, next) };
}

function continued({ run, decision }: Stage): Played {
  if (decision.kind !== 'continue-as-new') throw new Error('the run does not continue as new here');
  const next = unpackContinuation(JSON.parse(JSON.stringify(packContinuation(run))) as Continuation);
  return decideNext(next, describeChanges(run, next));
}

function decideNext(run: Run, changes: readonly string[]): Played {
  const decision = decide(run, { isHistoryLong: false });
  return {
    stage: { run, decision },
    output: [...changes, `${phaseOf(run, decision)} -> ${describeDecision(decision)}`],
  };
}
