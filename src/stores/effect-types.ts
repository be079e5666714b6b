import type { NewObservation, OpenObservation } from './observations.ts';

/** Where a call stands: its run in its lineage, its turn and its place in the turn. What is written of it lies in the scope of that run. */
export type Position = {
  readonly root: string;
  readonly runId: string;
  readonly turn: number;
  readonly callIndex: number;
};

/** A write that is about to be sent. */
export type Intent = Position & {
  readonly key: string;
  readonly tool: string;
  readonly contract: string;
  readonly argsHash: string;
  /** Milliseconds from now after which this attempt will not send. */
  readonly sendWithinMs: number;
  readonly worker: string;
  readonly principal: string;
  /** Approval that must stand approved for exactly these arguments. */
  readonly approvalId: string | null;
  /** Whether the destination returns the first result for a key it has seen: then an open attempt may be sent again at once. */
  readonly destinationHoldsKeys: boolean;
  readonly canReconcile: boolean;
  /** False when the call was refused: what an earlier attempt has sent is still settled, and nothing is sent. */
  readonly maySend: boolean;
  /** Observation of this attempt, opened with its lease. */
  readonly observation: NewObservation;
};

/** The right to send or to reconcile, as long as no later attempt has taken it over. */
export type Lease = {
  readonly key: string;
  readonly attempt: number;
  readonly position: Position;
  readonly observation: OpenObservation;
};

export type Begun =
  | { readonly kind: 'send'; readonly lease: Lease }
  | { readonly kind: 'reconcile'; readonly lease: Lease }
  /** The call was refused, and it is certain that no attempt has sent it: settle it as failed. */
  | { readonly kind: 'withdraw'; readonly lease: Lease }
  /** The attempt before may still send: ask again when its deadline has passed. */
  | { readonly kind: 'wait'; readonly waitMs: number }
  | { readonly kind: 'recorded'; readonly ref: string; readonly isError: boolean }
  | { readonly kind: 'already-done'; readonly runId: string; readonly at: Date }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not-approved' };

/** What became of a write, as its reply or the destination says. `ref` is the result that the model will read. */
export type EffectOutcome = {
  readonly state: 'succeeded' | 'failed';
  readonly ref: string;
  readonly how: 'replied' | 'reconciled';
};

/** What counts once an outcome was handed in. */
export type Settled =
  | { readonly kind: 'settled'; readonly state: 'succeeded' | 'failed'; readonly ref: string }
  /** Another call made the effect. Its result lies in the scope of its own run. */
  | { readonly kind: 'already-done'; readonly runId: string; readonly at: Date }
  /** A later attempt has the lease and its outcome counts: begin again. */
  | { readonly kind: 'superseded' };

/** What a person found out about an effect that was unknown. */
export type PersonsWord = {
  readonly state: 'succeeded' | 'failed';
  readonly ref: string;
  readonly principal: string;
  readonly reason: string;
};
