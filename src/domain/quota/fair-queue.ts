import type { RateCost } from './rate-limit.ts';

/** A call that waits for its turn, or asks for it. */
export type Waiter = {
  readonly id: string;
  readonly tenant: string;
  readonly weight: number;
  readonly cost: RateCost;
  /** Since when it waits: tenants serve their own in this order. */
  readonly since: number;
};

/**
 * Who has had how much. Times are virtual: the share of a window that was used, divided by the tenant's weight. `finish` has tenants that were
 * served lately.
 */
export type Fairness = { readonly virtual: number; readonly finish: Readonly<Record<string, number>> };

/**
 * How far a tenant that asked for little may catch up, as a share of a window: calls come in lumps, and a tenant whose calls are all under way
 * for a moment must not lose its turn. More would let one that was idle hold up the others.
 */
const CATCH_UP = 0.05;

/** How far behind a tenant is forgotten, as a share of a window at weight 1. It then counts as new, which differs by less than it may catch up. */
const FORGET = 1;

/** Tenants that are remembered: each is a number in a row that every call writes. */
const REMEMBERED_MAX = 1_000;

/** Gives the virtual time at which a tenant's next call starts. */
function startOf({ virtual, finish }: Fairness, tenant: string, weight: number): number {
  const own = finishOf(finish, tenant);
  return own === undefined ? virtual : Math.max(own, virtual - CATCH_UP / weight);
}

/**
 * Sorts waiting calls by the virtual time at which they start, those of one tenant in the order in which they came.
 *
 * @see Goyal, Vin, Cheng: Start-time fair queueing, 1996.
 */
export function inFairOrder(
  fairness: Fairness,
  waiters: readonly Waiter[],
  share: (cost: RateCost) => number,
): readonly Waiter[] {
  const next = new Map<string, number>();
  const tagged = waiters
    .toSorted((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1))
    .map((waiter) => {
      const { tenant, weight, cost } = waiter;
      const start = next.get(tenant) ?? startOf(fairness, tenant, weight);
      next.set(tenant, start + share(cost) / weight);
      return { waiter, start };
    });
  return tagged.toSorted((a, b) => a.start - b.start).map(({ waiter }) => waiter);
}

/** Serves a call: its tenant's next one starts later. `others` still wait. */
export function serve(fairness: Fairness, served: Waiter, others: readonly Waiter[], share: number): Fairness {
  const started = startOf(fairness, served.tenant, served.weight);
  const starts = others.map(({ tenant, weight }) => startOf(fairness, tenant, weight));
  const virtual = Math.max(fairness.virtual, Math.min(started, ...starts));
  return remember(virtual, { ...fairness.finish, [served.tenant]: started + share / served.weight });
}

/** Notes that a tenant waits from now on: what others use meanwhile does not move its start. */
export function queue(fairness: Fairness, { tenant, weight }: Waiter): Fairness {
  return { ...fairness, finish: { ...fairness.finish, [tenant]: startOf(fairness, tenant, weight) } };
}

/** Corrects what a tenant has had: a call used more, or less, than was thought. */
export function correct(fairness: Fairness, tenant: string, weight: number, share: number): Fairness {
  const own = finishOf(fairness.finish, tenant);
  if (own === undefined) return fairness;
  return { ...fairness, finish: { ...fairness.finish, [tenant]: own + share / weight } };
}

/** A tenant may have the name of something that every object has. */
function finishOf(finish: Fairness['finish'], tenant: string): number | undefined {
  return Object.hasOwn(finish, tenant) ? finish[tenant] : undefined;
}

function remember(virtual: number, finish: Readonly<Record<string, number>>): Fairness {
  const kept = Object.entries(finish).filter(([, time]) => time > virtual - FORGET);
  const newest = kept.length <= REMEMBERED_MAX ? kept : kept.toSorted(([, a], [, b]) => b - a).slice(0, REMEMBERED_MAX);
  return { virtual, finish: Object.fromEntries(newest) };
}
