import { canonicalJson, truncate, type JsonValue } from '../json.ts';
import { isDeferred, nextCall } from './deferred-calls.ts';
import type { Phase } from './phase.ts';
import type { RunMessageKind } from './message.ts';
import type { Answer, Outcome } from './run-end.ts';
import type { Blocked, PendingCall, Run, Throttle } from './run.ts';

/** A signal that was not applied, and why. Updates are told their caller instead. */
export type RejectedMessage = { readonly id: string; readonly kind: RunMessageKind; readonly problem: string };

/** What the `state` query answers. */
export type RunState = {
  readonly phase: Phase;
  readonly turn: number;
  readonly release: string | null;
  readonly blocked: Blocked | null;
  /** Set while the run waits for the rate of its provider. */
  readonly throttle: Throttle | null;
  readonly unknownEffect: string | null;
  readonly answer: Answer | null;
  readonly outcome: Outcome | null;
  readonly waitingMessages: number;
  /** Calls whose result comes from outside. */
  readonly deferred: readonly DeferredView[];
  readonly rejectedMessages: readonly RejectedMessage[];
};

/** One thing that is awaited: of a person, or from outside. `args` is missing where they are over 1 KiB; the approval's row then has them. */
export type PendingDecision =
  | {
      readonly kind: 'approval';
      readonly approvalId: string;
      readonly tool: string;
      readonly args?: JsonValue;
      readonly argsHash: string;
      readonly rule: string;
    }
  | { readonly kind: 'question'; readonly question: string }
  | (DeferredView & { readonly kind: 'deferred' });

/** A call whose result comes from outside, until that is written. `deadlineAt` is in milliseconds since the epoch. */
export type DeferredView = {
  readonly turn: number;
  readonly tool: string;
  readonly token: string;
  readonly deadlineAt: number;
};

/** What the `usage` query answers. Money is pico-dollars as a decimal string. */
export type RunUsage = {
  readonly turns: number;
  readonly toolCalls: number;
  readonly tokens: number;
  readonly costPico: string;
  readonly activeMs: number;
};

/** Shows a run's state. */
export function stateOf(run: Run, phase: Phase, rejectedMessages: readonly RejectedMessage[]): RunState {
  return {
    phase,
    turn: run.turn,
    release: run.plan?.release ?? null,
    blocked: run.blocked,
    throttle: run.throttle ?? null,
    unknownEffect: run.unknownEffect,
    answer: run.answer,
    outcome: run.outcome,
    waitingMessages: run.waiting.length,
    deferred: deferredOf(run),
    rejectedMessages,
  };
}

/** Lists what the run waits for: what a person is asked, one call at a time, and then the results that come from outside. */
export function pendingOf(run: Run): readonly PendingDecision[] {
  return [...askedOf(run), ...deferredOf(run).map((call) => ({ kind: 'deferred', ...call }) as const)];
}

function askedOf(run: Run): readonly PendingDecision[] {
  const call = nextCall(run.calls);
  if (call === undefined || run.outcome !== null) return [];
  if (call.verdict.kind === 'ask') return [{ kind: 'question', question: questionOf(call) }];
  if (call.verdict.kind !== 'approve' || call.approval === undefined || call.approval.isApproved) return [];
  if (call.approval.decision !== undefined || call.approval.isSettling) return [];
  return [
    {
      kind: 'approval',
      approvalId: call.approval.id,
      tool: call.tool,
      ...('args' in call ? { args: call.args } : {}),
      argsHash: call.argsHash,
      rule: call.verdict.rule,
    },
  ];
}

function deferredOf({ turn, calls, outcome }: Run): readonly DeferredView[] {
  if (outcome !== null) return [];
  return calls
    .filter(isDeferred)
    .map(({ tool, deferred: { token, deadlineAt } }) => ({ turn, tool, token, deadlineAt }));
}

/** Shows what a run has used. */
export function usageOf(run: Run): RunUsage {
  return {
    turns: run.turn,
    toolCalls: run.toolCalls,
    tokens: run.total.tokens,
    costPico: run.total.costPico,
    activeMs: run.activeMs,
  };
}

/**
 * Describes a call in a few words: the tool, and the first argument whose name ends in "id". Other arguments may be personal, and
 * this is shown in lists and kept in the history.
 */
export function describeCall(call: { readonly tool: string; readonly args?: JsonValue }): string {
  const { args } = call;
  if (args === undefined || args === null || typeof args !== 'object') return call.tool;
  const id = Object.entries(args).find(([name]) => /id$/i.test(name))?.[1];
  return typeof id === 'string' || typeof id === 'number' ? `${call.tool} ${truncate(String(id), 24)}` : call.tool;
}

function questionOf(call: PendingCall): string {
  if (!('args' in call)) return 'a long question; see the transcript';
  const { args } = call;
  const question = args !== null && typeof args === 'object' && 'question' in args ? args.question : args;
  return typeof question === 'string' ? question : canonicalJson(question);
}
