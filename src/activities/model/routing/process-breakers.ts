import { randomUUID } from 'node:crypto';
import type { BreakerKey, BreakerStanding } from '../../../domain/model/breaker.ts';
import type { Breakers, EndedCall } from '../../../stores/breakers.ts';
import { isFlawless, nextOf, type Told } from './breaker-machine.ts';

/** What is known of a breaker is looked up again after this, so that workers agree within a second. */
const FRESH_MS = 1_000;

/** How long the one call that tries a model keeps others off after its worker's last sign of life. */
const PROBE_LEASE_MS = 5_000;

/** Signs of life within a lease: it outlives two that are lost. */
const RENEWALS_PER_LEASE = 3;

/** Milliseconds after which a call that met a probe looks again, at most: a provider answers in seconds. */
const PROBED_WAIT_MS = 3_000;

/** Hears when a breaker opens or closes because of this process. */
export type OnBreaker = (model: string, status: 'open' | 'closed') => void;

/** Whether a model may be called now, by this call. */
export type Admission =
  | { readonly kind: 'admitted'; readonly permit: Permit }
  /** `waitMs` is when it is worth to ask again. */
  | { readonly kind: 'refused'; readonly why: 'breaker-open' | 'probing'; readonly waitMs: number };

/** The right to one call. Whoever has it tells what came of it, or gives it back. */
export type Permit = {
  /** It is the one call that tries an open model. */
  readonly isProbe: boolean;
  readonly tell: (told: Told) => Promise<void>;
  readonly giveBack: () => Promise<void>;
};

export type ProcessBreakers = { readonly admit: (key: BreakerKey) => Promise<Admission> };

type Known = { readonly standing: BreakerStanding; readonly at: number };

/**
 * Watches the models of one process with what all processes know of them.
 *
 * @param leaseMs Milliseconds after which a call that tries a model is given up for dead.
 */
export function createProcessBreakers(
  store: Breakers,
  onBreaker: OnBreaker,
  leaseMs = PROBE_LEASE_MS,
): ProcessBreakers {
  const known = new Map<string, Known>();
  const learn = (key: BreakerKey, standing: BreakerStanding): BreakerStanding => {
    known.set(nameOf(key), { standing, at: performance.now() });
    return standing;
  };
  const look = async (key: BreakerKey): Promise<BreakerStanding> => {
    const found = known.get(nameOf(key));
    const age = found === undefined ? Number.POSITIVE_INFINITY : performance.now() - found.at;
    if (found === undefined || age > FRESH_MS) return learn(key, await store.read(key));
    const { standing } = found;
    return { ...standing, waitMs: standing.waitMs - age, probeMs: standing.probeMs - age };
  };
  const change = async (key: BreakerKey, call: EndedCall, told: Told): Promise<void> => {
    const { before, after } = await store.change(key, call, (standing) => nextOf(standing, told));
    learn(key, after);
    if (before.status !== after.status) onBreaker(key.model, after.status);
  };
  const inTurn = oneAtATime();
  const tell: Tell = async (key, probe, told, admittedAt) =>
    inTurn(nameOf(key), async () => {
      const found = known.get(nameOf(key))?.standing;
      // Nothing changes: the model answers as it always did, or others have found out that it does not.
      if (probe === null && told === 'answered' && found?.status === 'closed' && isFlawless(found.state)) return;
      if (probe === null && found?.status === 'open') return;
      await change(key, { probe, ageMs: performance.now() - admittedAt }, told);
    });
  return {
    admit: async (key) => {
      const standing = await look(key);
      if (standing.status === 'closed') return { kind: 'admitted', permit: plainPermit(key, tell) };
      if (standing.waitMs > 0) return { kind: 'refused', why: 'breaker-open', waitMs: standing.waitMs };
      const probe = randomUUID();
      if (await store.takeProbe(key, probe, leaseMs)) {
        known.delete(nameOf(key));
        return { kind: 'admitted', permit: probePermit(store, { key, probe, leaseMs }, tell) };
      }
      const now = learn(key, await store.read(key));
      if (now.status === 'closed') return { kind: 'admitted', permit: plainPermit(key, tell) };
      if (now.waitMs > 0) return { kind: 'refused', why: 'breaker-open', waitMs: now.waitMs };
      return { kind: 'refused', why: 'probing', waitMs: Math.max(1, Math.min(PROBED_WAIT_MS, now.probeMs)) };
    },
  };
}

/** Does what concerns one breaker one after the other: calls that end together would take the process's connections to wait for each other. */
function oneAtATime(): (name: string, work: () => Promise<void>) => Promise<void> {
  const last = new Map<string, Promise<void>>();
  return async (name, work) => {
    const done = (last.get(name) ?? Promise.resolve()).then(work, work);
    last.set(name, done);
    return done.finally(() => {
      if (last.get(name) === done) last.delete(name);
    });
  };
}

/** Neither an id nor a host has a space. */
function nameOf({ model, server }: BreakerKey): string {
  return `${model} ${server}`;
}

type Tell = (key: BreakerKey, probe: string | null, told: Told, admittedAt: number) => Promise<void>;

function plainPermit(key: BreakerKey, tell: Tell): Permit {
  const admittedAt = performance.now();
  return { isProbe: false, tell: (told) => tell(key, null, told, admittedAt), giveBack: async () => undefined };
}

type Probe = { readonly key: BreakerKey; readonly probe: string; readonly leaseMs: number };

/** The permit of the one call that tries. It shows that it lives, so that the model is not left alone once it does not. */
function probePermit(store: Breakers, { key, probe, leaseMs }: Probe, tell: Tell): Permit {
  // A renewal that is lost costs one more probe at worst.
  const renewal = setInterval(() => {
    store.renewProbe(key, probe, leaseMs).catch(() => undefined);
  }, leaseMs / RENEWALS_PER_LEASE);
  renewal.unref();
  let isOver = false;
  const end = (): boolean => {
    const wasOver = isOver;
    isOver = true;
    clearInterval(renewal);
    return wasOver;
  };
  return {
    isProbe: true,
    tell: async (told) => {
      if (!end()) await tell(key, probe, told, performance.now());
    },
    giveBack: async () => {
      if (!end()) await store.releaseProbe(key, probe);
    },
  };
}
