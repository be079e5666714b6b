import type { JsonValue } from '../../src/domain/json.ts';
import type { Cause, Disposition } from '../../src/domain/run/cause.ts';
import type { Decision } from '../../src/domain/run/decision.ts';
import type {
  ApprovalDecision,
  DeferredResult,
  RunMessage,
  RunMessageKind,
  TopUp,
} from '../../src/domain/run/message.ts';
import type { Observation } from '../../src/domain/run/observation.ts';
import type { RunPlan } from '../../src/domain/run/plan.ts';
import { makeDeferredToken } from '../../src/domain/run/deferred-token.ts';
import type { ActivityTrouble, CallVerdict, RepliedCall, RunTotal, ToolResult } from '../../src/domain/run/results.ts';
import type { Dimension } from '../../src/domain/run/run-end.ts';
import type { Run } from '../../src/domain/run/run.ts';
import type { Taken, TakenCall } from '../../src/domain/run/taken.ts';
import { contentHash } from '../../src/domain/sha-256.ts';

/** One input of a trace: the first line's verb, the rest of it, and the lines below it. */
export type Input = { readonly verb: string; readonly rest: string; readonly details: readonly string[] };

/** Every step that is work takes a second, every model call costs a cent and a hundred tokens: easy to add up while reading. */
const ACTIVE_MS = 1_000;
const CALL_PICO = 10_000_000_000n;
const CALL_TOKENS = 100;

const TOOLS: RunPlan['tools'] = {
  lookupOrder: tool('lookupOrder', 'read'),
  checkStock: tool('checkStock', 'read'),
  sendEmail: tool('sendEmail', 'write'),
  issueRefund: tool('issueRefund', 'irreversible'),
};

/** Reads an input as the observation of what was decided. */
export function toObservation(input: Input, run: Run, decision: Decision): Observation {
  const { verb, rest } = input;
  const { turn } = run;
  switch (verb) {
    case 'admitted':
      return {
        kind: 'admitted',
        result: { kind: 'admitted', plan: planOf(fieldsOf(rest)), ...takenOf(input.details) },
      };
    case 'admission-refused':
      return { kind: 'admitted', result: { kind: 'refused', reason: rest } };
    case 'already-ended':
      return { kind: 'admitted', result: { kind: 'already-ended', end: earlierEnd(rest) } };
    case 'perceived':
      return perceived(decision, fieldsOf(rest));
    case 'model-answers': {
      const answer = { ref: `reply-${turn + 1}`, preview: rest };
      const reply = {
        kind: 'replied',
        head: `head-${turn + 1}`,
        heard: heardBy(run, input.details),
        answer,
        calls: [],
        total: charged(run),
        model: 'm',
        ...dueThrough(input.details),
        ...closedBy(input.details),
      } as const;
      return { kind: 'model-called', result: reply, activeMs: ACTIVE_MS };
    }
    case 'model-misfits': {
      const head = `head-${turn + 1}`;
      const heard = heardBy(run, input.details);
      const reply = { kind: 'replied', head, heard, misfit: rest, calls: [], total: charged(run), model: 'm' } as const;
      return { kind: 'model-called', result: reply, activeMs: ACTIVE_MS };
    }
    case 'model-calls': {
      const lines = input.details.filter((line) => !line.trim().startsWith(LONG));
      const calls = lines.map((line, index) => toCall(line, turn + 1, index));
      const reply = {
        kind: 'replied',
        head: `head-${turn + 1}`,
        heard: run.results.length + run.inputs.length,
        calls,
        total: charged(run),
        model: 'm',
        ...dueThrough(input.details),
      } as const;
      return { kind: 'model-called', result: reply, activeMs: ACTIVE_MS };
    }
    case 'budget-refused': {
      const result = { kind: 'budget-refused', dimension: rest as Dimension, total: run.total } as const;
      return { kind: 'model-called', result, activeMs: ACTIVE_MS };
    }
    case 'context-too-long': {
      const { through } = fieldsOf(rest);
      const compactThrough = through === undefined ? null : Number(through);
      const result = { kind: 'context-too-long', message: 'the prompt does not fit', compactThrough } as const;
      return { kind: 'model-called', result, activeMs: ACTIVE_MS };
    }
    case 'compacted': {
      const result = { kind: 'compacted', head: `${run.head}-summary`, total: charged(run) } as const;
      return { kind: 'compacted', result, activeMs: ACTIVE_MS };
    }
    case 'compaction-refused': {
      const result = { kind: 'budget-refused', dimension: rest as Dimension, total: run.total } as const;
      return { kind: 'compacted', result, activeMs: ACTIVE_MS };
    }
    case 'tools-called':
      return toolsCalled(run, fieldsOf(rest), input.details);
    case 'approval-settled':
      return approvalSettled(decision, run, rest);
    case 'deferred-settled':
      return { kind: 'deferred-settled', index: Number(rest), ref: `text:${turn}.${rest}` };
    case 'deferred-settling':
      return { kind: 'deferred-settling', index: Number(rest) };
    case 'throttled':
      return { kind: 'throttled', throttle: { limit: rest, untilAt: 5_000 } };
    case 'rate-waited':
      return { kind: 'rate-waited', isOver: rest === 'over' };
    case 'human-waited':
      return { kind: 'human-waited', isOver: rest === 'over' };
    case 'reflected':
      return { kind: 'reflected', result: { unfounded: rest.split(' ').filter(Boolean) }, activeMs: ACTIVE_MS };
    case 'activity-failed':
      return { kind: 'activity-failed', trouble: toTrouble(rest), activeMs: ACTIVE_MS };
    case 'pause-ended':
    case 'called-off':
    case 'cancel-requested':
    case 'deadline-passed':
      return { kind: verb };
    default:
      throw new Error(`no input is called ${verb}`);
  }
}

/** Reads an input as a message: `kind id rest`. Everything is sent by Ann, who saw the arguments of the first call. */
export function toMessage({ verb, rest }: Input, run: Run): RunMessage | null {
  const [id = '', ...words] = rest.split(' ');
  const text = words.join(' ');
  const envelope = { id, principal: 'ann' };
  switch (verb as RunMessageKind) {
    case 'decideApproval': {
      const [call] = run.calls;
      const approvalId = call?.approval?.id ?? 'none';
      return {
        ...envelope,
        kind: 'decideApproval',
        approvalId,
        argsHash: call?.argsHash ?? 'none',
        decision: toDecision(text),
      };
    }
    case 'provideInput':
      return { ...envelope, kind: 'provideInput', text };
    case 'steer':
      return { ...envelope, kind: 'steer', text };
    case 'topUpBudget':
      return { ...envelope, kind: 'topUpBudget', topUp: JSON.parse(text) as TopUp };
    case 'retry':
      return { ...envelope, kind: 'retry' };
    case 'pause':
      return { ...envelope, kind: 'pause' };
    case 'resume':
      return { ...envelope, kind: 'resume' };
    case 'requestStop':
      return { ...envelope, kind: 'requestStop', reason: text };
    case 'completeTool':
      return { ...envelope, kind: 'completeTool', ...toCompletion(run, words) };
    default:
      return null;
  }
}

/** Reads `name=value` words. */
export function fieldsOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text
      .split(' ')
      .filter(Boolean)
      .map((word) => word.split('=', 2) as [string, string]),
  );
}

function planOf(fields: Readonly<Record<string, string>>): RunPlan {
  const amount = (name: string, otherwise: number): number => Number(fields[name] ?? otherwise);
  return {
    release: 'release-1',
    limits: {
      costPico: String(BigInt(Math.round(amount('usd', 1) * 100)) * 10_000_000_000n),
      tokens: amount('tokens', 10_000),
      turns: amount('turns', 20),
      toolCalls: amount('tool-calls', 20),
      activeMs: amount('active-ms', 60_000),
    },
    tools: TOOLS,
    modelQueue: 'models',
    modelTimeoutMs: 60_000,
    turnsPerExecution: amount('turns-per-execution', 50),
    revisionsMax: fields['revisions'] === undefined ? null : Number(fields['revisions']),
    ...(fields['holds-back'] === undefined ? {} : { holdsBack: true }),
  };
}

function tool(name: string, effect: RunPlan['tools'][string]['effect']): RunPlan['tools'][string] {
  return { activity: `${name}@1`, contract: name, effect, execution: 'queued', taskQueue: 'tools', timeoutMs: 10_000 };
}

function earlierEnd(preview: string): (Decision & { kind: 'end' })['end'] {
  const answer = { ref: 'reply-1', preview };
  return {
    outcome: { kind: 'completed' },
    answer,
    release: 'release-0',
    turns: 1,
    toolCalls: 0,
    tokens: 100,
    costPico: '0',
  };
}

/**
 * Below `admitted`: `taken turn=3 results=0,2 inputs=m1,m2 [answered] [unheard]`, and a line for each open call, with its index first and
 * ` begun=APPROVAL` last where it was begun under one.
 */
function takenOf([line, ...calls]: readonly string[]): { readonly taken?: Taken } {
  if (line === undefined) return {};
  const { turn = '0', results = '', inputs = '' } = fieldsOf(line);
  const words = line.split(' ');
  const last = Number(turn);
  const isAnswered = words.includes('answered');
  return {
    taken: {
      head: last === 0 ? null : `head-${last}`,
      turn: last,
      results: listOf(results).map((index) => ({ index: Number(index), ref: `text:${last}.${index}` })),
      inputs: listOf(inputs).map((id) => `text:${id}`),
      calls: calls.map((call) => takenCall(call, last)),
      answer: isAnswered ? { ref: `reply-${last}`, preview: 'Said before.' } : null,
      isAnswered,
      isInputHeard: !words.includes('unheard'),
    },
  };
}

function takenCall(line: string, turn: number): TakenCall {
  const [, index = '0', call = '', begun] = /^\s*(\d+)\s+(.*?)(?:\s+begun=(\S+))?$/.exec(line) ?? [];
  const asked = { ...toCall(call, turn, Number(index)), index: Number(index) };
  return begun === undefined ? asked : { ...asked, approval: begun };
}

function listOf(words: string): readonly string[] {
  return words.split(',').filter(Boolean);
}

/** Every text becomes a reference of its id. `known` is an id that an earlier turn perceived: it has none. */
function perceived(decision: Decision, { known, blockedBy }: Readonly<Record<string, string>>): Observation {
  if (decision.kind !== 'perceive') throw new Error('nothing is being perceived');
  const ids = decision.inputs.map(({ id }) => id);
  if (blockedBy !== undefined)
    return { kind: 'perceived', ids, result: { inputs: [], blockedBy }, activeMs: ACTIVE_MS };
  const fresh = decision.inputs.filter(({ id }) => id !== known);
  const inputs = fresh.filter(({ kind }) => kind === 'input' || kind === 'guidance').map(({ id }) => `text:${id}`);
  const answer = fresh.find(({ kind }) => kind === 'answer');
  const result = { inputs, ...(answer === undefined ? {} : { answer: `text:${answer.id}` }) };
  return { kind: 'perceived', ids, result, activeMs: ACTIVE_MS };
}

function charged({ total }: Run): RunTotal {
  return { costPico: String(BigInt(total.costPico) + CALL_PICO), tokens: total.tokens + CALL_TOKENS };
}

/** `tool {"args":1} allow | answered | ask=MS | approve=RULE` */
function toCall(line: string, turn: number, index: number): RepliedCall {
  const [, name = '', json = '{}', verdict = 'allow'] = /^\s*(\S+)\s+(\{.*\})(?:\s+(\S+))?$/.exec(line) ?? [];
  const args = JSON.parse(json) as JsonValue;
  return { tool: name, args, argsHash: hashOf(args), verdict: toVerdict(verdict, `text:${turn}.${index}`) };
}

function toVerdict(text: string, ref: string): CallVerdict {
  const [kind, value = ''] = text.split('=');
  if (kind === 'ask') return { kind: 'ask', deadlineMs: Number(value) };
  if (kind === 'approve') return { kind: 'approve', rule: value, deadlineMs: 60_000, onExpiry: 'reject' };
  return kind === 'answered' ? { kind: 'answered', ref } : { kind: 'allow' };
}

/** Below a reply: the transcript is long, and a summary should replace the turns through this one. */
const CLOSED = 'closed by ';

function closedBy(details: readonly string[]): { readonly closedBy?: Dimension } {
  const line = details.map((detail) => detail.trim()).find((detail) => detail.startsWith(CLOSED));
  return line === undefined ? {} : { closedBy: line.slice(CLOSED.length) as Dimension };
}

const LONG = 'long through turn ';

function dueThrough(details: readonly string[]): { readonly compactThrough?: number } {
  const line = details.map((detail) => detail.trim()).find((detail) => detail.startsWith(LONG));
  return line === undefined ? {} : { compactThrough: Number(line.slice(LONG.length)) };
}

/** `without the last` below `model-answers`: the reply was kept before the newest input was heard. */
function heardBy({ results, inputs }: Run, details: readonly string[]): number {
  const unheard = details.some((line) => line.trim() === 'without the last') ? 1 : 0;
  return results.length + inputs.length - unheard;
}

/** Below `tools-called`: the calls were under way when somebody said `retry`. */
const BEFORE_RETRY = 'begun before the retry';

/** `0=ok 1=error 2=unknown`, and below it `trouble CAUSE DISPOSITION MESSAGE` or `begun before the retry`. */
function toolsCalled(
  { turn, retries }: Run,
  fields: Readonly<Record<string, string>>,
  details: readonly string[],
): Observation {
  const results = Object.entries(fields).map(([index, outcome]) => ({
    index: Number(index),
    result: toToolResult(turn, Number(index), outcome),
  }));
  const lines = details.map((line) => line.trim());
  const trouble = lines.find((line) => line.startsWith('trouble '))?.slice('trouble '.length);
  return {
    kind: 'tools-called',
    results,
    trouble: trouble === undefined ? null : toTrouble(trouble),
    retriesBefore: lines.includes(BEFORE_RETRY) ? retries - 1 : retries,
    activeMs: ACTIVE_MS,
  };
}

function toToolResult(turn: number, index: number, outcome: string): ToolResult {
  if (outcome === 'unknown') return { outcome, effectKey: `effect-${turn}.${index}` };
  if (outcome === 'deferred') return { outcome, token: tokenOf(turn, index, 'genuine'), deadlineAt: 5_000 };
  return { outcome, ref: `text:${turn}.${index}` } as ToolResult;
}

/** `genuine 0 {"output":1}`: the secret, the call of this turn, the result. */
function toCompletion({ turn }: Run, [secret = '', index, ...json]: readonly string[]) {
  const result = JSON.parse(json.join(' ')) as DeferredResult;
  return { token: tokenOf(turn, Number(index), secret), result };
}

function tokenOf(turn: number, index: number, secret: string): string {
  return makeDeferredToken({ runId: 'run-1', turn, index }, secret.padEnd(22, '0'));
}

function toTrouble(text: string): ActivityTrouble {
  const [cause, disposition, ...message] = text.split(' ');
  return { cause: cause as Cause, disposition: disposition as Disposition, message: message.join(' ') };
}

function approvalSettled(decision: Decision, run: Run, text: string): Observation {
  if (decision.kind !== 'await-approval') throw new Error('no approval is being awaited');
  const { index, argsHash } = decision.call;
  const [kind = '', json] = text.split(' ', 2);
  const ref = `text:${run.turn}.${index}`;
  const settled = (result: (Observation & { kind: 'approval-settled' })['result']): Observation => ({
    kind: 'approval-settled',
    index,
    result,
  });
  switch (kind) {
    case 'approved': {
      if (json === undefined) return settled({ kind, argsHash });
      const args = JSON.parse(json) as JsonValue;
      return settled({ kind, argsHash: hashOf(args), edited: { args } });
    }
    case 'rejected':
    case 'expired':
    case 'responded':
      return settled({ kind, ref });
    case 'invalid-edit':
      return settled({ kind, message: 'amountUsd must be a number' });
    default:
      throw new Error(`an approval is never settled as ${kind}`);
  }
}

function toDecision(text: string): ApprovalDecision {
  const [kind = '', ...words] = text.split(' ');
  const rest = words.join(' ');
  switch (kind) {
    case 'edit':
      return { kind, arguments: JSON.parse(rest) as JsonValue };
    case 'reject':
      return { kind, reason: rest };
    case 'respond':
      return { kind, text: rest };
    default:
      return { kind: 'approve' };
  }
}

function hashOf(args: JsonValue): string {
  return contentHash(args);
}
