import type { RunMessage } from './message.ts';
import type { Outcome } from './run-end.ts';
import type {
  ActivityTrouble,
  AdmitResult,
  ApprovalResult,
  CompactResult,
  ModelResult,
  PerceiveResult,
  ReflectResult,
  Throttled,
  ToolResult,
} from './results.ts';
import type { Throttle } from './run.ts';

/**
 * What came back of a decision, or what a handler recorded. `activeMs` is the time the decision took, where it counts as work.
 */
export type Observation =
  | { readonly kind: 'admitted'; readonly result: AdmitResult }
  | {
      readonly kind: 'perceived';
      readonly ids: readonly string[];
      readonly result: PerceiveResult;
      readonly activeMs: number;
    }
  | { readonly kind: 'model-called'; readonly result: Exclude<ModelResult, Throttled>; readonly activeMs: number }
  | { readonly kind: 'compacted'; readonly result: Exclude<CompactResult, Throttled>; readonly activeMs: number }
  /** The provider's rate left no room for a model call. */
  | { readonly kind: 'throttled'; readonly throttle: Throttle }
  /** The wait for room is over, or was broken off for what comes first. */
  | { readonly kind: 'rate-waited'; readonly isOver: boolean }
  | {
      readonly kind: 'tools-called';
      readonly results: readonly { readonly index: number; readonly result: ToolResult }[];
      /** Why the calls of the group that are missing in `results` gave none. */
      readonly trouble: ActivityTrouble | null;
      /** `retries` of the run when the calls were begun. */
      readonly retriesBefore: number;
      readonly activeMs: number;
    }
  /** The decision, or that the deadline has passed, is being written: nothing else is taken for it. */
  | { readonly kind: 'approval-settling'; readonly index: number }
  | { readonly kind: 'approval-settled'; readonly index: number; readonly result: ApprovalResult }
  /** The result from outside, or that none came in time, is being written: nothing else is taken for it. */
  | { readonly kind: 'deferred-settling'; readonly index: number }
  | { readonly kind: 'deferred-settled'; readonly index: number; readonly ref: string }
  | { readonly kind: 'human-waited'; readonly isOver: boolean }
  | { readonly kind: 'reflected'; readonly result: ReflectResult; readonly activeMs: number }
  | { readonly kind: 'pause-ended' }
  | { readonly kind: 'activity-failed'; readonly trouble: ActivityTrouble; readonly activeMs: number }
  /** The decision was called off: by a stop, or by a retry that schedules it anew. */
  | { readonly kind: 'called-off' }
  /** What blocked the run is over, before the decision that met it is. */
  | { readonly kind: 'unblocked' }
  /** The end was decided: from here on nothing is applied. */
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'message-received'; readonly message: RunMessage }
  | { readonly kind: 'cancel-requested' }
  | { readonly kind: 'deadline-passed' };
