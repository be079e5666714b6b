import type { ClosingReason } from './early-exit.ts';
import type { LastAnswer } from './last-answer.ts';
import type { RunEnd } from './run-end.ts';
import type { DeferredCall, PendingCall, Throttle, WaitingInput } from './run.ts';

/** What the core says to do next. The loop handles `continue-as-new` and `end`; `perform` everything else. */
export type Decision =
  | { readonly kind: 'admit' }
  | { readonly kind: 'perceive'; readonly inputs: readonly WaitingInput[] }
  | {
      readonly kind: 'call-model';
      readonly turn: number;
      readonly delta: readonly string[];
      /** Set where the model is to close, and why. */
      readonly closing?: ClosingReason;
      readonly lastAnswer?: LastAnswer;
    }
  | { readonly kind: 'compact'; readonly turn: number; readonly head: string; readonly through: number }
  | { readonly kind: 'call-tools'; readonly turn: number; readonly calls: readonly PendingCall[] }
  | { readonly kind: 'await-approval'; readonly turn: number; readonly call: PendingCall }
  /** Nothing else of the turn is left: wait for one of the results from outside, or for its deadline. */
  | { readonly kind: 'await-deferred'; readonly turn: number; readonly calls: readonly DeferredCall[] }
  | { readonly kind: 'await-human'; readonly wait: HumanWait }
  /** Wait until the provider's rate has room for the next model call. */
  | { readonly kind: 'await-rate'; readonly turn: number; readonly throttle: Throttle }
  | { readonly kind: 'reflect'; readonly turn: number }
  | { readonly kind: 'pause' }
  | { readonly kind: 'continue-as-new' }
  | { readonly kind: 'end'; readonly end: RunEnd };

/** What the run waits for. */
export type HumanWait =
  | { readonly kind: 'message' }
  | { readonly kind: 'answer'; readonly index: number; readonly deadlineMs: number }
  | { readonly kind: 'top-up'; readonly dimension: string }
  | { readonly kind: 'unknown-effect'; readonly effectKey: string };
