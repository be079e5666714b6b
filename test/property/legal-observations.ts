import type { Disposition } from '../../src/domain/run/cause.ts';
import type { Decision } from '../../src/domain/run/decision.ts';
import type { Observation } from '../../src/domain/run/observation.ts';
import type {
  ActivityTrouble,
  ApprovalResult,
  CompactResult,
  CallVerdict,
  ModelResult,
  PerceiveResult,
  RepliedCall,
  RunTotal,
  Throttled,
  ToolResult,
} from '../../src/domain/run/results.ts';
import type { Dimension } from '../../src/domain/run/run-end.ts';
import type { PendingCall, Run } from '../../src/domain/run/run.ts';
import type { Taken, TakenCall } from '../../src/domain/run/taken.ts';
import type { Choices } from './choices.ts';
import { sampleToken } from './legal-messages.ts';
import { samplePlan } from './sample-run.ts';

type Performed = Exclude<Decision, { kind: 'end' | 'continue-as-new' | 'await-human' | 'await-rate' | 'pause' }>;

const MS = 10;

/** Answers a decision with an observation that the activities could give. `run` is the state when the decision was made. */
export function answer(choices: Choices, run: Run, decision: Performed): Observation {
  if (decision.kind !== 'call-tools' && choices.isRare(9))
    return { kind: 'activity-failed', trouble: trouble(choices), activeMs: MS };
  const mayBeThrottled = decision.kind === 'call-model' || decision.kind === 'compact';
  if (mayBeThrottled && choices.isRare(9))
    return { kind: 'throttled', throttle: { limit: 'tokens per minute of m', untilAt: 5_000 } };
  switch (decision.kind) {
    case 'admit':
      return admitted(choices, run);
    case 'perceive':
      return {
        kind: 'perceived',
        ids: decision.inputs.map(({ id }) => id),
        result: perceive(choices, decision),
        activeMs: MS,
      };
    case 'call-model':
      return {
        kind: 'model-called',
        result: closed(choices, decision, reply(choices, run, decision)),
        activeMs: MS,
      };
    case 'compact':
      return { kind: 'compacted', result: compact(choices, run), activeMs: MS };
    case 'call-tools':
      return callTools(choices, decision, run.retries);
    case 'await-approval':
      return {
        kind: 'approval-settled',
        index: decision.call.index,
        result: settle(choices, decision.turn, decision.call),
      };
    case 'await-deferred': {
      const [call] = decision.calls;
      const index = call?.index ?? 0;
      return { kind: 'deferred-settled', index, ref: resultRef(decision.turn, index) };
    }
    case 'reflect':
      return { kind: 'reflected', result: { unfounded: choices.isRare(2) ? ['A-7'] : [] }, activeMs: MS };
  }
}

/** Reference of the result of a call; each call gets it once. */
export function resultRef(turn: number, index: number): string {
  return `result:${turn}.${index}`;
}

function admitted(choices: Choices, run: Run): Observation {
  if (choices.isRare(20)) return { kind: 'admitted', result: { kind: 'refused', reason: 'not here' } };
  const revisionsMax = choices.oneOf([null, 0, 2]);
  const worth = { valuePico: '2000', odds: { steps: [[0, 900_000] as const, [3, 20_000] as const], until: 9 } };
  const exit = {
    goals: choices.oneOf([[], [{ tool: 'addNote' }, { tool: 'checkStock', outcome: 'error' as const }]]),
    ...(choices.isRare(2) ? {} : { polls: choices.oneOf([[], ['lookupOrder']]) }),
    ...(choices.isRare(2) ? { worth } : {}),
  };
  const plan = samplePlan({
    revisionsMax,
    ...(choices.isRare(2) ? {} : { exit }),
    ...(choices.isRare(2) ? { holdsBack: true } : {}),
  });
  if (run.start.retryOf === undefined) return { kind: 'admitted', result: { kind: 'admitted', plan } };
  const taken = takenUp(choices, run);
  const limits = { ...plan.limits, turns: plan.limits.turns + taken.turn };
  return { kind: 'admitted', result: { kind: 'admitted', plan: { ...plan, limits }, taken } };
}

/** Where an earlier run may have stopped: before its first turn, with an answer, or with some calls of a turn open. */
function takenUp(choices: Choices, { waiting }: Run): Taken {
  const turn = choices.below(6);
  const calls =
    turn === 0 ? [] : Array.from({ length: choices.below(5) }, (_, index) => takenCall(choices, turn, index));
  const open = calls.filter(({ verdict }) => verdict.kind !== 'answered' && !choices.isRare(2));
  const results = calls.flatMap((call) => (open.includes(call) ? [] : [call.index]));
  const inputs = Array.from({ length: choices.below(3) }, (_, index) => `text:before-${index}`);
  const isAnswered = turn > 0 && calls.length === 0 && inputs.length === 0;
  const hasOwnInput = waiting.some(({ id }) => id === 'perdure:start');
  return {
    head: turn === 0 ? null : `head:${turn}`,
    turn,
    results: results.map((index) => ({ index, ref: resultRef(turn, index) })),
    inputs,
    calls: open,
    answer: isAnswered ? { ref: `answer:${turn}`, preview: 'Done.' } : null,
    isAnswered,
    isInputHeard: !(hasOwnInput && turn === 0) && !choices.isRare(8),
  };
}

function takenCall(choices: Choices, turn: number, index: number): TakenCall {
  const call = { ...repliedCall(choices, turn, index), index };
  const isBegun = call.verdict.kind === 'approve' && choices.isRare(3);
  return isBegun ? { ...call, approval: `begun:${turn}.${index}` } : call;
}

/** Texts become references of their ids; a text that an earlier turn perceived has none. */
function perceive(choices: Choices, { inputs }: Decision & { kind: 'perceive' }): PerceiveResult {
  if (inputs.some(({ id }) => id === 'perdure:start') && choices.isRare(20))
    return { inputs: [], blockedBy: 'injection' };
  const fresh = inputs.filter(({ id }) => id.startsWith('perdure:') || !choices.isRare(10));
  const refs = fresh.flatMap(({ kind, id }) => (kind === 'input' || kind === 'guidance' ? [`text:${id}`] : []));
  const answered = fresh.find(({ kind }) => kind === 'answer');
  if (answered?.kind !== 'answer') return { inputs: refs };
  return { inputs: refs, answer: resultRef(answered.turn, answered.index) };
}

function compact(choices: Choices, run: Run): Exclude<CompactResult, Throttled> {
  if (choices.isRare(10))
    return { kind: 'budget-refused', dimension: choices.oneOf(['usd', 'tokens']), total: run.total };
  const costPico = String(BigInt(run.total.costPico) + BigInt(choices.below(300)));
  return {
    kind: 'compacted',
    head: `${run.head}:summary`,
    total: { costPico, tokens: run.total.tokens + choices.below(300) },
  };
}

function reply(
  choices: Choices,
  run: Run,
  { turn, closing }: Decision & { kind: 'call-model' },
): Exclude<ModelResult, Throttled> {
  const asked = closing === undefined ? {} : { closing };
  const total: RunTotal = {
    costPico: String(BigInt(run.total.costPico) + BigInt(choices.below(300))),
    tokens: run.total.tokens + choices.below(300),
  };
  if (choices.isRare(15)) {
    const dimension: Dimension = choices.oneOf(['usd', 'tokens']);
    return { kind: 'budget-refused', dimension, total: run.total };
  }
  if (choices.isRare(12)) {
    const compactThrough = turn > 2 && !choices.isRare(4) ? turn - 2 : null;
    return { kind: 'context-too-long', message: 'the prompt does not fit', compactThrough };
  }
  const head = `head:${turn}`;
  const long = turn > 1 && choices.isRare(6) ? { compactThrough: turn - 1 } : {};
  const heard = run.results.length + run.inputs.length;
  const count = choices.below(6);
  if (count === 0 && choices.isRare(5)) {
    return { kind: 'replied', head, heard, misfit: 'a: not a number.', calls: [], total, model: 'm', ...long };
  }
  if (count === 0)
    return {
      kind: 'replied',
      head,
      heard,
      answer: { ref: `answer:${turn}`, preview: 'Done.' },
      calls: [],
      total,
      model: 'm',
      ...long,
      ...asked,
    };
  const calls = Array.from({ length: count }, (_, index) => {
    const call = repliedCall(choices, turn, index);
    // A closing reply's calls are answered on the spot.
    return closing === undefined
      ? call
      : { ...call, verdict: { kind: 'answered', ref: resultRef(turn, index) } as const };
  });
  return { kind: 'replied', head, heard, calls, total, model: 'm', ...long, ...asked };
}

/** The last turn may only answer, and so may a call that would use the money of the last answer. */
function closed(
  choices: Choices,
  { lastAnswer, turn }: Decision & { kind: 'call-model' },
  result: Exclude<ModelResult, Throttled>,
): Exclude<ModelResult, Throttled> {
  if (result.kind !== 'replied' || lastAnswer === undefined) return result;
  const isLast = lastAnswer === 'last-turn' || choices.isRare(10);
  if (!isLast) return result;
  const last = { ref: `answer:${turn}`, preview: 'What I have.' };
  return {
    ...result,
    calls: [],
    answer: last,
    closedBy: lastAnswer === 'last-turn' ? 'turns' : choices.oneOf(['usd', 'tokens']),
  };
}

function repliedCall(choices: Choices, turn: number, index: number): RepliedCall {
  const tool = choices.oneOf([
    'lookupOrder',
    'checkStock',
    'sendEmail',
    'addNote',
    'issueRefund',
    'askPerson',
    'invented',
  ]);
  const argsHash = `hash-${choices.below(2)}`;
  const given = choices.isRare(4) ? { argsRef: `args:${turn}.${index}` } : { args: { id: 'A-1' } };
  return { tool, ...given, argsHash, verdict: verdictOf(choices, tool, resultRef(turn, index)) };
}

function verdictOf(choices: Choices, tool: string, ref: string): CallVerdict {
  if (tool === 'invented' || choices.isRare(12)) return { kind: 'answered', ref };
  if (tool === 'askPerson') return { kind: 'ask', deadlineMs: 1_000 };
  const asks = tool === 'issueRefund' || choices.isRare(6);
  return asks ? { kind: 'approve', rule: 'rule', deadlineMs: 1_000, onExpiry: 'reject' } : { kind: 'allow' };
}

function callTools(
  choices: Choices,
  { turn, calls }: Decision & { kind: 'call-tools' },
  retriesBefore: number,
): Observation {
  const failed = choices.isRare(8) ? choices.below(calls.length) : null;
  const results = calls
    .filter((_, position) => position !== failed)
    .map((call): { index: number; result: ToolResult } => ({
      index: call.index,
      result: toolResult(choices, turn, call),
    }));
  return {
    kind: 'tools-called',
    results,
    trouble: failed === null ? null : trouble(choices),
    retriesBefore,
    activeMs: MS,
  };
}

function toolResult(choices: Choices, turn: number, { tool, index }: PendingCall): ToolResult {
  const isWrite = samplePlan().tools[tool]?.effect !== 'read';
  if (isWrite && choices.isRare(8)) return { outcome: 'unknown', effectKey: `effect:${turn}.${index}` };
  if (choices.isRare(4)) return { outcome: 'deferred', token: sampleToken(turn, index), deadlineAt: 5_000 };
  const tells = isWrite ? {} : { tells: choices.oneOf(['much', 'little']) };
  return { outcome: choices.oneOf(['ok', 'error', 'already-done']), ref: resultRef(turn, index), ...tells };
}

/** What the person sent decides; without a decision the approval has expired. */
function settle(choices: Choices, turn: number, { index, argsHash, approval }: PendingCall): ApprovalResult {
  const ref = resultRef(turn, index);
  switch (approval?.decision?.decision.kind) {
    case undefined:
      return { kind: 'expired', ref };
    case 'approve':
      return { kind: 'approved', argsHash };
    case 'reject':
      return { kind: 'rejected', ref };
    case 'respond':
      return { kind: 'responded', ref };
    case 'edit':
      if (choices.isRare(2)) return { kind: 'invalid-edit', message: 'no' };
      return { kind: 'approved', argsHash: 'hash-edited', edited: { args: { id: 'A-2' } } };
  }
}

function trouble(choices: Choices): ActivityTrouble {
  const disposition = choices.oneOf<Disposition>(['transient', 'mendable', 'mendable', 'final']);
  return { cause: choices.oneOf(['infra', 'model-authentication', 'tool-missing']), disposition, message: 'away' };
}
