import { setTimeout as sleep } from 'node:timers/promises';
import type { ActivityDependencies } from '../activities/dependencies.ts';
import { settleEarlier } from '../activities/model/settle-earlier.ts';
import type { Logger } from '../runtime/logger.ts';
import type { HeldReservation } from '../stores/held-reader.ts';

/** Pause between two looks. */
const LOOK_MS = 60_000;

/** Milliseconds that a look in progress may take when the process stops. */
const LAST_LOOK_MS = 3_000;

type Reconciling = {
  readonly stores: Pick<ActivityDependencies['stores'], 'budgets' | 'unansweredCalls'>;
  readonly models: ActivityDependencies['models'];
};

/** A run's held calls of one model: providers are asked about them together. */
type HeldCalls = {
  readonly tenant: string;
  readonly runId: string;
  readonly model: string;
  /** Their reservations. Others of the run may be under way. */
  readonly ids: ReadonlySet<string>;
};

/**
 * Asks providers that can be asked what held calls have cost: at once and then every minute, and about each call the more seldom the older it is.
 * A run that goes on asks by itself at its next call; one that has ended or waits makes none. Any number of processes may do it, as a
 * reservation is settled once.
 */
export function reconcileHeld(reconciling: Reconciling, logger: Logger): { readonly stop: () => Promise<void> } {
  const stopping = new AbortController();
  const done = lookAgainAndAgain(reconciling, logger, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await Promise.race([done, sleep(LAST_LOOK_MS, undefined, { ref: false })]);
    },
  };
}

async function lookAgainAndAgain(reconciling: Reconciling, logger: Logger, stopping: AbortSignal): Promise<void> {
  const askedAt = new Map<string, number>();
  while (!stopping.aborted) {
    const due = await dueCalls(reconciling, askedAt, Date.now()).catch((error: unknown) => {
      if (!stopping.aborted) logger.warn({ err: error }, 'held calls could not be read');
      return [];
    });
    for (const calls of due) {
      if (stopping.aborted) return;
      try {
        await ask(reconciling, calls);
        for (const id of calls.ids) askedAt.set(id, Date.now());
      } catch (error) {
        if (!stopping.aborted) logger.warn({ err: error }, 'a provider could not be asked about held calls');
      }
    }
    await sleep(LOOK_MS, undefined, { ref: false, signal: stopping }).catch(() => undefined);
  }
}

/** Finds what is due. */
async function dueCalls(
  { stores, models }: Reconciling,
  askedAt: Map<string, number>,
  nowMs: number,
): Promise<readonly HeldCalls[]> {
  const held = await stores.budgets.held(null);
  const known = new Set(held.map(({ id }) => id));
  for (const id of askedAt.keys()) if (!known.has(id)) askedAt.delete(id);
  const due = held.flatMap((call) => {
    const { tenant, runId, model, id } = call;
    if (model === null || !isDue(call, askedAt.get(id), nowMs)) return [];
    return (models.usageLookup?.(model) ?? null) === null ? [] : [{ tenant, runId, model, id }];
  });
  const together = Map.groupBy(due, ({ tenant, runId, model }) => JSON.stringify([tenant, runId, model]));
  return [...together.values()].flatMap((calls) => {
    const [first] = calls;
    return first === undefined ? [] : [{ ...first, ids: new Set(calls.map(({ id }) => id)) }];
  });
}

/** What a provider does not know soon after the call it hardly knows later: half its age passes until it is asked about again. */
function isDue({ openedAt }: HeldReservation, askedAt: number | undefined, nowMs: number): boolean {
  return askedAt === undefined || nowMs - askedAt >= (nowMs - openedAt.getTime()) / 2;
}

async function ask({ stores, models }: Reconciling, { tenant, runId, model, ids }: HeldCalls): Promise<void> {
  const { price } = await models.resolve({ id: model, outputTokensMax: 1, contextTokensMax: 1 });
  if (price === null) return;
  await settleEarlier(stores, models.usageLookup?.(model) ?? null, { tenant, runId, modelId: model, price, only: ids });
}
