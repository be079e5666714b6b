import type { Dimension } from '../run/run-end.ts';

/** Levels above the run, from the narrowest to the widest: the order in which their counters are locked, so that no two calls wait for one another. */
export const UPPER_KINDS = ['conversation', 'user', 'tenant', 'agent', 'organisation'] as const;

export type UpperKind = (typeof UPPER_KINDS)[number];

/** Span of time for which a cap holds, in UTC. */
export const PERIODS = ['day', 'month', 'total'] as const;

export type Period = (typeof PERIODS)[number];

/** What an account may use and has used. A cap that is null does not bind. */
export type Balance = {
  readonly capPico: bigint | null;
  readonly capTokens: bigint | null;
  readonly spentPico: bigint;
  readonly spentTokens: bigint;
  readonly heldPico: bigint;
  readonly heldTokens: bigint;
};

/** Money and tokens together: what a call can cost at most, what is left, what is kept back. */
export type Amount = { readonly pico: bigint; readonly tokens: bigint };

/** Per cent of a cap at which people are told and cheaper models preferred: a fifth is left to do something about it. */
const WARN_PER_CENT = 80n;

/** Finds the cap that an amount would break, with or without what is held: what is spent is gone, what is held may come back. */
export function refusedBy(
  balance: Balance,
  { pico, tokens }: Amount,
  held: 'with-held' | 'without-held',
): Dimension | null {
  const counts = held === 'with-held' ? 1n : 0n;
  const { capPico, capTokens } = balance;
  if (capPico !== null && balance.spentPico + counts * balance.heldPico + pico > capPico) return 'usd';
  if (capTokens !== null && balance.spentTokens + counts * balance.heldTokens + tokens > capTokens) return 'tokens';
  return null;
}

/** Says whether an account has used up so much that people are told: spent and held are 80 % of a cap, or more. */
export function isNearCap({ capPico, capTokens, ...used }: Balance): boolean {
  return isNear(capPico, used.spentPico + used.heldPico) || isNear(capTokens, used.spentTokens + used.heldTokens);
}

function isNear(cap: bigint | null, amount: bigint): boolean {
  return cap !== null && amount * 100n >= cap * WARN_PER_CENT;
}

/** Adds two amounts. */
export function addAmounts(a: Amount, b: Amount): Amount {
  return { pico: a.pico + b.pico, tokens: a.tokens + b.tokens };
}
