import type { Cause } from './cause.ts';
import type { ExitReason } from './early-exit.ts';

/** What was used up when a run ends `budget-exhausted`, and what a top-up raises. */
export type Dimension = 'usd' | 'tokens' | 'turns' | 'tool-calls' | 'active-time';

/** How a run ended, as a value. */
export type Outcome =
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed'; readonly cause: Cause; readonly message: string }
  | { readonly kind: 'cancelled'; readonly reason: string }
  /** `account` names the account above the run that was used up; missing where it was the run's own limit. */
  | { readonly kind: 'budget-exhausted'; readonly dimension: Dimension; readonly account?: string }
  | { readonly kind: 'expired' }
  | { readonly kind: 'refused'; readonly reason: string };

/** Reference of a final text, with the first characters of it. */
export type Answer = { readonly ref: string; readonly preview: string };

/** The result of a run: how it ended and what it used. `answer` is the last whole answer, whatever the outcome. */
export type RunEnd = {
  readonly outcome: Outcome;
  readonly answer: Answer | null;
  readonly release: string | null;
  readonly turns: number;
  readonly toolCalls: number;
  readonly tokens: number;
  /** Pico-dollars as a decimal string. */
  readonly costPico: string;
  /** Why the run ended before its model said that it was done. Missing where it did not. */
  readonly exit?: { readonly reason: ExitReason };
};
