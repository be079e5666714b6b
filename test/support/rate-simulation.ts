import type { Waiter } from '../../src/domain/quota/fair-queue.ts';
import type { RateLimit } from '../../src/domain/quota/rate-limit.ts';
import {
  askRate,
  FRESH_RATE_STATE,
  type RateGrant,
  type RateState,
  settleRate,
} from '../../src/domain/quota/rate-limiter.ts';

import { type Calibration, isWellKnown } from '../../src/domain/quota/token-estimate.ts';

/** A tenant that keeps so many calls in the air from one moment to another. */
export type Load = {
  readonly tenant: string;
  readonly weight: number;
  readonly callers: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** Gives what the next call reserves and what it uses. */
  readonly call: () => SimulatedCall;
};

export type SimulatedCall = {
  /** Estimated anew each time that it asks, where it is a function of what is known. */
  readonly reserved: number | ((known: Calibration | undefined) => number);
  readonly actual: number;
  readonly durationMs: number;
  /** Learns from it, where calls are estimated. */
  readonly learn?: (known: Calibration | undefined) => Calibration;
  /** Its worker dies: nobody says what it used, and some seconds later another call is made. */
  readonly isLost?: boolean;
};

/** Milliseconds until a dead worker's run goes on. */
const RECOVERY_MS = 5_000;

export type Served = {
  readonly tenant: string;
  readonly at: number;
  readonly tokens: number;
  readonly waitedMs: number;
};

/** What came of a simulation: calls in the order in which they were let through, and how often it was asked. */
export type Simulated = { readonly served: readonly Served[]; readonly asks: number; readonly state: RateState };

type Event = { readonly at: number; readonly run: (now: number) => void };

/** Plays loads against the limiter on a clock of its own. `lateMs` is how late a caller wakes after the wait that it was told. */
export function simulate(limit: RateLimit, loads: readonly Load[], untilMs: number, lateMs: () => number): Simulated {
  const events: Event[] = [];
  const waiting = new Map<string, Waiter>();
  const served: Served[] = [];
  let state = FRESH_RATE_STATE;
  let known: Calibration | undefined;
  let asks = 0;
  let calls = 0;
  const at = (moment: number, run: Event['run']): void => void events.push({ at: moment, run });

  const begin = (load: Load, now: number): void => {
    if (now >= load.toMs) return;
    const call = load.call();
    const { reserved, actual } = call;
    const asking = { id: `c${(calls += 1)}`, tenant: load.tenant, weight: load.weight, since: now };
    const ask = (moment: number): void => {
      const tokens = typeof reserved === 'number' ? reserved : reserved(known);
      const mine: Waiter = { ...asking, cost: { requests: 1, tokens } };
      asks += 1;
      const others = [...waiting.values()].filter(({ id }) => id !== mine.id);
      const answer = askRate(state, limit, mine, others, moment);
      if (answer.kind === 'never') throw new Error(`a call of ${tokens} tokens can never pass`);
      state = answer.state;
      if (answer.kind === 'denied') {
        waiting.set(mine.id, mine);
        const longestMs = call.learn === undefined || isWellKnown(known) ? 120_000 : 10_000;
        at(moment + Math.min(answer.waitMs, longestMs) + lateMs(), ask);
        return;
      }
      waiting.delete(mine.id);
      served.push({ tenant: load.tenant, at: moment, tokens: actual, waitedMs: moment - mine.since });
      finish(load, answer.grant, call, moment + call.durationMs);
    };
    ask(now);
  };
  const finish = (load: Load, grant: RateGrant, { actual, learn, isLost }: SimulatedCall, moment: number): void => {
    if (isLost === true) return at(moment + RECOVERY_MS, (now) => begin(load, now));
    return at(moment, (now) => {
      state = settleRate(state, limit, { ...grant, weight: load.weight }, { requests: 1, tokens: actual }, now);
      known = learn?.(known) ?? known;
      begin(load, now);
    });
  };

  for (const load of loads) {
    for (let caller = 0; caller < load.callers; caller += 1) at(load.fromMs + caller, (now) => begin(load, now));
  }
  for (;;) {
    events.sort((a, b) => b.at - a.at);
    const next = events.pop();
    if (next === undefined || next.at > untilMs) return { served, asks, state };
    next.run(next.at);
  }
}

/** Sums the tokens of a tenant between two moments. */
export function tokensOf({ served }: Simulated, tenant: string, fromMs: number, toMs: number): number {
  return served.reduce(
    (sum, call) => (call.tenant === tenant && call.at >= fromMs && call.at < toMs ? sum + call.tokens : sum),
    0,
  );
}

/** Finds the most that any window of a length held. */
export function mostInWindow(served: readonly Pick<Served, 'at' | 'tokens'>[], windowMs: number): number {
  let most = 0;
  let sum = 0;
  let oldest = 0;
  for (const { at, tokens } of served) {
    sum += tokens;
    while ((served[oldest]?.at ?? at) < at - windowMs) {
      sum -= served[oldest]?.tokens ?? 0;
      oldest += 1;
    }
    most = Math.max(most, sum);
  }
  return most;
}
