import type { Cause } from './cause.ts';
import type { ApprovalDecision, DeferredResult, TopUp } from './message.ts';
import type { News, Pace, RunExit } from './early-exit.ts';
import type { RunPlan } from './plan.ts';
import type { CallArguments, CallVerdict, RunTotal } from './results.ts';
import type { Answer, Dimension, Outcome, RunEnd } from './run-end.ts';
import type { RunStart } from './start.ts';

/** A message that the run has recorded and not yet perceived. `core` guidance comes from the run's own checks. */
export type WaitingInput =
  | {
      readonly kind: 'input';
      readonly id: string;
      /** Set where the run was started with it under a key of the caller's. */
      readonly isFirst?: true;
      readonly text: string;
      readonly attachments?: readonly string[];
      readonly principal: string;
    }
  | { readonly kind: 'guidance'; readonly id: string; readonly text: string; readonly principal: string }
  | { readonly kind: 'top-up'; readonly id: string; readonly topUp: TopUp; readonly principal: string }
  | {
      readonly kind: 'answer';
      readonly id: string;
      readonly text: string;
      readonly attachments?: readonly string[];
      readonly principal: string;
      readonly turn: number;
      readonly index: number;
    };

/** A tool call of the current turn that has no result yet. */
export type PendingCall = CallArguments & {
  readonly index: number;
  readonly tool: string;
  readonly argsHash: string;
  readonly verdict: CallVerdict;
  /** Set while a person is asked. `decision` is recorded by the handler and settled by the loop. */
  readonly approval?: {
    readonly id: string;
    readonly decision?: SentDecision;
    readonly isApproved: boolean;
    readonly isSettling?: true;
  };
  /** Set once the call has begun what gives its result later. `completion` is recorded by the handler and settled by the loop. */
  readonly deferred?: Deferral;
  /** Results that came before the run had heard of the call's token. */
  readonly early?: readonly (Completion & { readonly token: string })[];
};

/** A call whose result comes from outside. */
export type DeferredCall = PendingCall & { readonly deferred: Deferral };

type Deferral = {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly deadlineAt: number;
  readonly completion?: Completion;
  readonly isSettling?: true;
};

/** Who sent which result. */
export type Completion = { readonly id: string; readonly principal: string; readonly result: DeferredResult };

export type SentDecision = { readonly id: string; readonly principal: string; readonly decision: ApprovalDecision };

/** What an operator did to the run, until it is in the audit. */
export type OperatorAction = {
  readonly id: string;
  readonly kind: 'pause' | 'resume' | 'retry' | 'requestStop';
  readonly principal: string;
};

/** Why nothing moves, and what mends it. */
export type Blocked = { readonly cause: Cause; readonly message: string; readonly mend: string | null };

/** Which limit has no room for the next call, and when to ask again: in milliseconds since the epoch. */
export type Throttle = { readonly limit: string; readonly untilAt: number };

/** Why the run must end at the next safe point. */
export type Stop =
  { readonly kind: 'stop'; readonly reason: string } | { readonly kind: 'cancel' } | { readonly kind: 'expired' };

/**
 * What is to be done about a transcript that is too long for its model. `due`: a summary is to replace the turns through this one; `was` says
 * whether a call was already refused for it. `tried`: it was compacted after a refusal, and the next refusal is the last.
 */
export type Compaction =
  { readonly kind: 'due'; readonly through: number; readonly was: 'long' | 'refused' } | { readonly kind: 'tried' };

/**
 * The state of a run. Only `evolve` makes a new one. Everything in it is small and independent of how long the conversation is: the
 * transcript is reached through `head`.
 */
export type Run = {
  readonly id: string;
  readonly start: Omit<RunStart, 'input' | 'attachments'>;
  readonly plan: RunPlan | null;
  /** Head of the transcript; null before the first model call. */
  readonly head: string | null;
  /** Results of the current turn's calls, by index, and inputs since the last model call: the next model call's delta. */
  readonly results: readonly { readonly index: number; readonly ref: string }[];
  readonly inputs: readonly string[];
  readonly waiting: readonly WaitingInput[];
  /** Model calls made. */
  readonly turn: number;
  /** Turns of the executions before this one. */
  readonly turnsBefore: number;
  /** Missing in continuations of builds before compaction. */
  readonly compaction?: Compaction | null;
  readonly calls: readonly PendingCall[];
  /** The newest whole answer; `isAnswered` says whether it still answers everything that was said. */
  readonly answer: Answer | null;
  readonly isAnswered: boolean;
  /** Whether the newest answer passed the checks that the release asks for. */
  readonly isReflected: boolean;
  readonly revisions: number;
  /** Times in a row that an answer did not fit the output schema. Missing where none did, and in continuations of earlier builds. */
  readonly repairs?: number;
  readonly total: RunTotal;
  readonly toolCalls: number;
  readonly activeMs: number;
  readonly exhausted: Dimension | null;
  /** Account above the run that is used up, where it is not the run's own. */
  readonly exhaustedAccount?: string | null;
  /** What was used up when the run gave its last answer; set, it ends with that. */
  readonly closedBy?: Dimension | null;
  readonly blocked: Blocked | null;
  /** Set while the provider's rate leaves no room. Missing in continuations of builds before rate limits. */
  readonly throttle?: Throttle | null;
  readonly unknownEffect: string | null;
  /** How often someone said `retry`: one that comes while a call is under way must not be lost. */
  readonly retries: number;
  readonly isPaused: boolean;
  readonly stop: Stop | null;
  readonly outcome: Outcome | null;
  /** The end of an earlier run of the same start key. */
  readonly earlierEnd: RunEnd | null;
  /** The last calls' fingerprint and how often it came in a row. */
  readonly repeated: { readonly fingerprint: string; readonly times: number };
  /** What early exits are decided on. Missing where the plan has none, and before there is any. */
  readonly exit?: RunExit;
  readonly news?: News;
  readonly pace?: Pace;
  /** What the newest turns cost, in pico-dollars. Missing where nothing is decided by it. */
  readonly costs?: readonly string[];
  /** The newest actions of operators in this execution. They are written with the run's progress, each once. */
  readonly actions: readonly OperatorAction[];
  /** Hashes of applied message ids, oldest first. */
  readonly applied: readonly string[];
};
