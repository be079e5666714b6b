import { canonicalJson } from '../../src/domain/json.ts';
import { formatUsd } from '../../src/domain/model/price.ts';
import type { Decision, HumanWait } from '../../src/domain/run/decision.ts';
import type { CallVerdict } from '../../src/domain/run/results.ts';
import type { Outcome, RunEnd } from '../../src/domain/run/run-end.ts';
import type { PendingCall, Run, WaitingInput } from '../../src/domain/run/run.ts';

const NONE = 'none';

/** Lists what an input changed in the state, one line a field, in the words of the state. */
export function describeChanges(before: Run, after: Run): readonly string[] {
  const [old, now] = [describeRun(before), describeRun(after)];
  return Object.entries(now).flatMap(([field, value]) => (old[field] === value ? [] : [`  ${field}: ${value}`]));
}

/** Says in one line what was decided. */
export function describeDecision(decision: Decision): string {
  switch (decision.kind) {
    case 'admit':
    case 'pause':
    case 'continue-as-new':
      return decision.kind;
    case 'perceive':
      return `perceive ${decision.inputs.map(({ id }) => id).join(', ')}`;
    case 'call-model':
      return `call-model turn ${decision.turn} with ${list(decision.delta)}${toldOf(decision)}`;
    case 'compact':
      return `compact turns 1 to ${decision.through}`;
    case 'call-tools':
      return `call-tools turn ${decision.turn}: ${decision.calls.map(({ index, tool }) => `${index} ${tool}`).join(', ')}`;
    case 'await-approval':
      return `await-approval turn ${decision.turn}: ${decision.call.index} ${decision.call.tool}`;
    case 'await-deferred':
      return `await-deferred turn ${decision.turn}: ${decision.calls.map(({ index, tool }) => `${index} ${tool}`).join(', ')}`;
    case 'await-rate':
      return `await-rate turn ${decision.turn}: ${decision.throttle.limit}`;
    case 'await-human':
      return `await-human ${describeWait(decision.wait)}`;
    case 'reflect':
      return `reflect turn ${decision.turn}`;
    case 'end':
      return `end ${describeEnd(decision.end)}`;
  }
}

function describeRun(run: Run): Readonly<Record<string, string>> {
  return {
    plan: describePlan(run),
    'turns before': String(run.turnsBefore),
    compaction: describeCompaction(run),
    head: run.head ?? NONE,
    waiting: list(run.waiting.map(describeInput)),
    inputs: list(run.inputs),
    calls: list(run.calls.map(describeCall)),
    results: list(run.results.map(({ index, ref }) => `${index}=${ref}`)),
    answer: run.answer === null ? NONE : `"${run.answer.preview}"${run.isAnswered ? '' : ', no longer the last word'}`,
    reflected: `${run.isReflected}, ${run.revisions} revisions`,
    used: describeUse(run.turn, run.toolCalls, run.total.tokens, run.total.costPico),
    'active time': `${run.activeMs} ms`,
    repeated: `${run.repeated.times} times`,
    exhausted: run.exhausted ?? NONE,
    'closed by': run.closedBy ?? NONE,
    blocked: run.blocked === null ? NONE : `${run.blocked.cause}: ${run.blocked.message}`,
    throttled: run.throttle?.limit ?? NONE,
    'unknown effect': run.unknownEffect ?? NONE,
    paused: String(run.isPaused),
    stop: run.stop === null ? NONE : Object.values(run.stop).join(': '),
    outcome: run.outcome === null ? NONE : describeOutcome(run.outcome),
    'earlier end': run.earlierEnd === null ? NONE : describeEnd(run.earlierEnd),
    'applied messages': String(run.applied.length),
  };
}

function describeCompaction({ compaction = null }: Run): string {
  if (compaction === null) return NONE;
  return compaction.kind === 'tried' ? 'tried' : `due through turn ${compaction.through}, was ${compaction.was}`;
}

function describePlan({ plan }: Run): string {
  if (plan === null) return NONE;
  const { turns, toolCalls, tokens, costPico, activeMs } = plan.limits;
  return `${plan.release}, at most ${describeUse(turns, toolCalls, tokens, costPico)}, ${activeMs} ms`;
}

function describeUse(turns: number, toolCalls: number, tokens: number, costPico: string): string {
  return `${turns} turns, ${toolCalls} tool calls, ${tokens} tokens, ${formatUsd(BigInt(costPico))} USD`;
}

function describeInput(input: WaitingInput): string {
  switch (input.kind) {
    case 'input':
    case 'guidance':
      return `${input.kind} ${input.id} "${input.text}"`;
    case 'answer':
      return `answer ${input.id} to call ${input.index} "${input.text}"`;
    case 'top-up':
      return `top-up ${input.id} ${canonicalJson(input.topUp)}`;
  }
}

function describeCall(call: PendingCall): string {
  const args = 'args' in call ? canonicalJson(call.args) : `@${call.argsRef}`;
  const { approval } = call;
  const sent =
    approval?.decision === undefined ? '' : `, ${approval.decision.decision.kind} by ${approval.decision.principal}`;
  const state = approval === undefined ? '' : `, ${approval.isApproved ? 'approved' : 'not approved'}`;
  return `${call.index} ${call.tool} ${args} (${describeVerdict(call.verdict)}${state}${sent}${describeDeferral(call)})`;
}

function describeDeferral({ deferred, early }: PendingCall): string {
  const waits =
    deferred === undefined ? '' : `, deferred to ${deferred.deadlineAt}${deferred.isSettling ? ', settling' : ''}`;
  const result =
    deferred?.completion === undefined ? '' : `, result ${deferred.completion.id} by ${deferred.completion.principal}`;
  return `${waits}${result}${early === undefined ? '' : `, early ${early.map(({ id }) => id).join(' ')}`}`;
}

function describeVerdict(verdict: CallVerdict): string {
  switch (verdict.kind) {
    case 'allow':
      return 'allow';
    case 'approve':
      return `approve by ${verdict.rule}`;
    case 'ask':
      return `ask for ${verdict.deadlineMs} ms`;
    case 'answered':
      return `answered ${verdict.ref}`;
  }
}

function describeWait(wait: HumanWait): string {
  switch (wait.kind) {
    case 'message':
      return 'for the next message';
    case 'answer':
      return `for the answer to call ${wait.index}, at most ${wait.deadlineMs} ms`;
    case 'top-up':
      return `for a top-up of ${wait.dimension}`;
    case 'unknown-effect':
      return `to look at the effect ${wait.effectKey}`;
  }
}

function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'completed':
    case 'expired':
      return outcome.kind;
    case 'failed':
      return `failed (${outcome.cause}: ${outcome.message})`;
    case 'cancelled':
    case 'refused':
      return `${outcome.kind} (${outcome.reason})`;
    case 'budget-exhausted':
      return `budget-exhausted (${outcome.dimension})`;
  }
}

function describeEnd(end: RunEnd): string {
  const answer = end.answer === null ? 'no answer' : `"${end.answer.preview}"`;
  return `${describeOutcome(end.outcome)}, ${answer}, ${describeUse(end.turns, end.toolCalls, end.tokens, end.costPico)}`;
}

function list(items: readonly string[]): string {
  return items.join(', ') || NONE;
}

/** What a model call is told beside what is new. */
function toldOf({ closing, lastAnswer }: Extract<Decision, { kind: 'call-model' }>): string {
  const told = closing ?? lastAnswer;
  return told === undefined ? '' : ` (${told})`;
}
