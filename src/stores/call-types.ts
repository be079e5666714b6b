import type { UpperKind, Period } from '../domain/policy/budget.ts';
import type { Dimension } from '../domain/run/run-end.ts';
import type { RunTotal } from '../domain/run/results.ts';
import type { Held } from './budget-account.ts';
import type { StoredReply } from './database.ts';
import type { OpenObservation } from './observations.ts';

export type Reservation = {
  readonly id: string;
  readonly worstPico: bigint;
  readonly worstTokens: number;
  /** Paid replies of this turn that could not be used; at this many the turn is given up. */
  readonly unusableMax: number;
  /** Calls of this turn of which nobody knows whether they were paid; at this many a person is asked. */
  readonly unansweredMax: number;
  /** Set for a call that summarises: the key under which its summary is kept. Such calls are counted apart from those of their turn. */
  readonly summaryKey?: string;
  /** What the run keeps for its last answer: this call must leave so much of the run's own cap. */
  readonly heldBack?: { readonly pico: bigint; readonly tokens: number };
  /** Set where an attempt that calls nobody is one of very many: it is not written down. */
  readonly isQuiet?: boolean;
};

export type Reserved = { readonly kind: 'replied'; readonly reply: StoredReply; readonly total: RunTotal } | Opened;

/** What became of opening a call that summarises. `summarised`: it was paid for and kept before. */
export type SummaryReserved = ({ readonly kind: 'summarised'; readonly ref: string } | Opened) & {
  readonly total: RunTotal;
};

/** An account above the run that does not bear a call. */
export type RefusingAccount = {
  readonly tenant: string;
  readonly kind: UpperKind;
  readonly id: string;
  readonly period: Period;
  readonly capPico: bigint | null;
  readonly capTokens: bigint | null;
};

export type Opened =
  | { readonly kind: 'reserved'; readonly observation: OpenObservation }
  | { readonly kind: 'budget-refused'; readonly dimension: Dimension; readonly total: RunTotal }
  | ({ readonly kind: 'budget-held'; readonly dimension: Dimension } & Held)
  /** The call would use what is kept for the last answer. `left` is what the run has not spent; null where no cap binds. */
  | { readonly kind: 'closing'; readonly dimension: Dimension; readonly total: RunTotal; readonly left: Left }
  /** An account above the run does not bear the call: because of what is spent, or of what calls under way hold of it. */
  | {
      readonly kind: 'account-refused';
      readonly because: 'spent' | 'held';
      readonly dimension: Dimension;
      readonly account: RefusingAccount;
      readonly waits: boolean;
      readonly total: RunTotal;
    }
  | { readonly kind: 'too-many-calls'; readonly what: 'unusable' | 'unanswered'; readonly calls: number };

export type Left = { readonly pico: bigint | null; readonly tokens: bigint | null };

/** An attempt at a turn's model call that is under way. */
export type ModelAttempt = {
  readonly runId: string;
  readonly turn: number;
  readonly reservationId: string;
  readonly observation: OpenObservation;
};

/** A summary that is kept: where it is, and the name of what was asked for it. */
export type KeptSummary = { readonly key: string; readonly ref: string };
