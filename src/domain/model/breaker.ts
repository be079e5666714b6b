/** Names a breaker: a model, and the server that was asked for it, where the configuration names one. The same model elsewhere is another. */
export type BreakerKey = {
  /** `provider:model`. */
  readonly model: string;
  /** Host and port; empty for the provider's own. */
  readonly server: string;
};

/** How a breaker stands, as the database sees it: all times are by its clock. */
export type BreakerStanding = {
  readonly status: 'closed' | 'open';
  /** What the breaker knows of its newest calls; only its machine reads it. Null where nothing was written. */
  readonly state: object | null;
  /** Milliseconds until one call may try the model again; 0 or less when it may. */
  readonly waitMs: number;
  /** Milliseconds that the one call which tries has left; 0 or less when none does. */
  readonly probeMs: number;
};

/** A breaker as people see it. */
export type BreakerRecord = BreakerKey & {
  readonly status: 'closed' | 'open' | 'half-open';
  /** Since when it is open, or closed. */
  readonly since: Date;
  /** Seconds for which it has been open, by the database's clock; 0 while it is closed. */
  readonly openSeconds: number;
  /** When the model is tried again; null while it is closed. */
  readonly halfOpenAt: Date | null;
  /** Of the newest calls: how many are known, and how many of these failed. */
  readonly calls: number;
  readonly failures: number;
};

/** A breaker that was never written stands like this. */
export const CLOSED: BreakerStanding = { status: 'closed', state: null, waitMs: 0, probeMs: 0 };
