import { circuitBreaker, CircuitState, CountBreaker, DelegateBackoff, handleAll } from 'cockatiel';
import type { BreakerStanding } from '../../../domain/model/breaker.ts';
import type { BreakerChange } from '../../../stores/breakers.ts';

/** What a call told of its provider. */
export type Told = 'answered' | 'failed';

/** Newest calls of a model that are looked at: agents call it some times a minute, so a window of time would hardly ever be full. */
const WINDOW_CALLS = 20;

/** Calls before a model is judged: one run that tries again meets an outage within seconds. */
const CALLS_MIN = 5;

/** More failures than this share open the breaker: a provider that fails every third call still serves. */
const FAILED_SHARE = 0.5;

/** Milliseconds that an open model is left alone at first; doubled each time that it fails again. */
const OPEN_MS = 5_000;

/** A minute: a provider that is back is used again within it. */
const OPEN_MS_MAX = 60_000;

/** What cockatiel writes of a breaker, as far as it is looked into here. */
type MachineState = {
  readonly ownState?: { readonly value: CircuitState; readonly attemptNo?: number };
  readonly breakerState?: {
    readonly samples: readonly unknown[];
    readonly successes: number;
    readonly failures: number;
  };
};

/**
 * Says what becomes of a breaker after a call. The rules are cockatiel's; its state is read from the row and written back, and the clock is the
 * database's: whether it is time to try was decided there.
 *
 * @returns null where nothing changes.
 */
export async function nextOf({ status, state }: BreakerStanding, told: Told): Promise<BreakerChange | null> {
  if (status === 'closed' && told === 'answered' && isFlawless(state)) return null;
  const policy = circuitBreaker(handleAll, {
    breaker: new CountBreaker({ threshold: FAILED_SHARE, size: WINDOW_CALLS, minimumNumberOfCalls: CALLS_MIN }),
    halfOpenAfter: new DelegateBackoff(({ attempt }: { readonly attempt: number }) => openMs(attempt)),
    ...initialStateOf(status, state),
  });
  await policy
    .execute(() => {
      if (told === 'failed') throw new Error('the provider failed');
    })
    .catch(() => undefined);
  const next = policy.toJSON() as MachineState;
  const { value, attemptNo = 1 } = next.ownState ?? { value: CircuitState.Closed };
  return { state: next, openMs: value === CircuitState.Closed ? null : openMs(attemptNo) };
}

/** Tells whether all calls that a breaker remembers were answered: one more changes nothing, so a model that works costs no writes. */
export function isFlawless(state: object | null): boolean {
  const { breakerState } = (state ?? {}) as MachineState;
  return breakerState?.successes === WINDOW_CALLS;
}

/** Gives for how long a breaker is open, after it has opened so many times in a row. */
export function openMs(times: number): number {
  return Math.min(OPEN_MS_MAX, OPEN_MS * 2 ** Math.min(times - 1, 10));
}

/**
 * An open breaker is only asked once its time is over, so cockatiel must think so too, whatever this machine's clock says. What another version has
 * written of the newest calls is forgotten; that the breaker is open is the row's to say.
 */
function initialStateOf(status: BreakerStanding['status'], state: object | null): { readonly initialState?: unknown } {
  const { ownState, breakerState } = (state ?? {}) as MachineState;
  const isKnown = Array.isArray(breakerState?.samples) && breakerState.samples.length === WINDOW_CALLS;
  const calls = isKnown ? { breakerState } : {};
  if (status === 'open') {
    const attemptNo = Number.isSafeInteger(ownState?.attemptNo) ? ownState?.attemptNo : 1;
    return { initialState: { ownState: { value: CircuitState.Open, openedAt: 0, attemptNo }, ...calls } };
  }
  return isKnown ? { initialState: { ownState: { value: CircuitState.Closed }, ...calls } } : {};
}
