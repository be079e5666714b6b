import type { JsonValue } from '../json.ts';
import type { RouteTaken } from '../model/model-policy.ts';
import type { Verdict } from '../policy/approval-policy.ts';
import type { Cause, Disposition } from './cause.ts';
import type { ClosingReason } from './early-exit.ts';
import type { RunPlan } from './plan.ts';
import type { Answer, Dimension, RunEnd } from './run-end.ts';
import type { Taken } from './taken.ts';

/** What `admit` found. */
export type AdmitResult =
  | {
      readonly kind: 'admitted';
      readonly plan: RunPlan;
      /** What a run goes on from that takes up an ended one. */
      readonly taken?: Taken;
      /** Head of the transcript that a conversation goes on with, where it has a predecessor. */
      readonly head?: string;
    }
  | { readonly kind: 'already-ended'; readonly end: RunEnd }
  | { readonly kind: 'refused'; readonly reason: string };

/** What an activity adds to its result: milliseconds that its last attempt worked. */
export type Worked = { readonly ms?: number };

/** What `perceive` wrote. References are in the order of the inputs; one that was applied before has none. */
export type PerceiveResult = {
  readonly inputs: readonly string[];
  /** Result of the question that the input answered. */
  readonly answer?: string;
  /** Ids of messages that an earlier turn had perceived: nothing was done. */
  readonly ignored?: readonly string[];
  /** Name of the guardrail that blocked the run's first input. */
  readonly blockedBy?: string;
  /** Why the run's first input cannot be used. */
  readonly refused?: string;
};

/** What a run has used so far, killed and retried attempts included. `costPico` is pico-dollars as a decimal string. */
export type RunTotal = { readonly costPico: string; readonly tokens: number };

/** Arguments of a tool call: inline up to 1 KiB, else the reference of the reply that holds them. */
export type CallArguments = { readonly args: JsonValue } | { readonly argsRef: string };

/**
 * What becomes of a call: policy lets it through, wants a person, hands it to the person as a question, or the call was answered on
 * the spot (an invented tool, arguments that do not parse) and `ref` is the result the model will read.
 */
export type CallVerdict =
  Verdict | { readonly kind: 'ask'; readonly deadlineMs: number } | { readonly kind: 'answered'; readonly ref: string };

export type RepliedCall = CallArguments & {
  readonly tool: string;
  readonly argsHash: string;
  readonly verdict: CallVerdict;
};

/** The provider's rate leaves no room for the call now. Nothing was called; the run waits and asks again. */
export type Throttled = {
  readonly kind: 'throttled';
  /** Milliseconds, with what chance adds: recorded, so that every replay waits the same. */
  readonly waitMs: number;
  /** The limit in words: `tokens per minute of openai`. */
  readonly limit: string;
};

export type ModelResult =
  | Throttled
  | {
      readonly kind: 'replied';
      readonly head: string;
      /** How many references of the delta the reply was made for; what came later has not been heard. */
      readonly heard: number;
      /** Set when the model made no call: the reply is an answer. */
      readonly answer?: Answer;
      readonly calls: readonly RepliedCall[];
      readonly total: RunTotal;
      readonly model: string;
      /** Which model of the release answered. Missing in results of builds before there were fallbacks. */
      readonly route?: RouteTaken;
      /** Set in place of `answer` when the answer does not fit the output schema of the release: what did not fit. */
      readonly misfit?: string;
      /** Set when the transcript fills too much of the model's context: the last turn that a summary should replace. */
      readonly compactThrough?: number;
      /** Set when the model was asked for its closing answer, and why. */
      readonly closing?: ClosingReason;
      /** Set where the reply is the run's last answer: what was used up. */
      readonly closedBy?: Dimension;
    }
  | BudgetRefused
  /** The prompt does not fit, and nothing was paid. `compactThrough` is null when there is nothing that a summary could replace. */
  | { readonly kind: 'context-too-long'; readonly message: string; readonly compactThrough: number | null };

/** `head` is that of a transcript in which a summary stands for the turns that were to be replaced. */
export type CompactResult =
  { readonly kind: 'compacted'; readonly head: string; readonly total: RunTotal } | Throttled | BudgetRefused;

/** `account` names the account above the run that does not bear the call, as `tenant acme`; missing where it is the run's own. */
export type BudgetRefused = {
  readonly kind: 'budget-refused';
  readonly dimension: Dimension;
  readonly total: RunTotal;
  readonly account?: string;
};

/** `error` and `rejected` are results the model reads; `unknown` stops the run's writes until a person decides. */
export type ToolOutcome = 'ok' | 'error' | 'already-done' | 'unknown';

export type ToolResult =
  | {
      readonly outcome: Exclude<ToolOutcome, 'unknown'>;
      readonly ref: string;
      readonly preview?: string;
      /** Digest of what a read has told, under the key of the scope: equal where it told nothing else. */
      readonly tells?: string;
    }
  | { readonly outcome: 'unknown'; readonly effectKey: string }
  /** The call has begun what gives its result later. `deadlineAt` is in milliseconds since the epoch. */
  | { readonly outcome: 'deferred'; readonly token: string; readonly deadlineAt: number };

export type ApprovalResult =
  | { readonly kind: 'approved'; readonly argsHash: string; readonly edited?: CallArguments }
  | { readonly kind: 'rejected' | 'expired' | 'responded'; readonly ref: string }
  | { readonly kind: 'invalid-edit'; readonly message: string };

export type ReflectResult = { readonly unfounded: readonly string[] };

/** Why an activity gave no result. */
export type ActivityTrouble = {
  readonly cause: Cause;
  readonly disposition: Disposition;
  readonly message: string;
  readonly mend?: string;
};
