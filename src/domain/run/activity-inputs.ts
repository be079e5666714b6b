import type { Tier } from '../model/model-policy.ts';
import type { ClosingReason } from './early-exit.ts';
import type { LastAnswer } from './last-answer.ts';
import type { CallArguments } from './results.ts';
import type { Phase } from './phase.ts';
import type { RunEnd } from './run-end.ts';
import type { Blocked, Completion, OperatorAction, PendingCall, SentDecision, WaitingInput } from './run.ts';
import type { RunStart } from './start.ts';

/**
 * Inputs of the run's activities. They enter history on every turn, so they hold only what the activity cannot find by the run's id,
 * which is the Workflow Id. `patient` is set once the run is blocked: the activity then retries what a person may mend, instead of
 * giving up.
 */
type OfRun = { readonly tenant: string; readonly patient?: true };

export type AdmitInput = OfRun & { readonly start: Omit<RunStart, 'input' | 'attachments'> };

export type PerceiveInput = OfRun & { readonly turn: number; readonly inputs: readonly WaitingInput[] };

export type CallModelInput = OfRun & {
  readonly turn: number;
  readonly head: string | null;
  readonly delta: readonly string[];
  /** Set where the model is asked for its closing answer, and why. */
  readonly closing?: ClosingReason;
  readonly lastAnswer?: LastAnswer;
  /** Tier that answers, as the plan has it. */
  readonly tier?: Tier;
};

export type CompactInput = OfRun & {
  /** Last turn that is over. */
  readonly turn: number;
  readonly head: string;
  /** Last turn that the summary replaces. */
  readonly through: number;
};

export type ExecuteToolInput = OfRun &
  CallArguments & {
    readonly turn: number;
    readonly index: number;
    readonly argsHash: string;
    readonly contract: string;
    readonly approval?: string;
  };

export type RequestApprovalInput = OfRun & { readonly turn: number; readonly call: PendingCall };

export type SettleApprovalInput = OfRun & {
  readonly turn: number;
  readonly call: PendingCall;
  /** Null when the deadline has passed. */
  readonly decision: SentDecision | null;
};

export type SettleDeferredInput = OfRun & {
  /** For logs and traces; the token says which call it is. */
  readonly turn: number;
  readonly token: string;
  /** Null when the deadline has passed. */
  readonly completion: Completion | null;
};

export type ReflectInput = OfRun & { readonly head: string };

export type RecordProgressInput = OfRun & {
  readonly phase: Phase;
  readonly turns: number;
  readonly toolCalls: number;
  readonly head: string | null;
  readonly blocked: Blocked | null;
  readonly actions: readonly OperatorAction[];
};

export type RecordEndInput = OfRun & {
  readonly head: string | null;
  readonly end: RunEnd;
  readonly principal: string;
  readonly actions: readonly OperatorAction[];
};
