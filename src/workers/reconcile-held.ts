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
type HeldCalls = { readonly tenant: string; readonly runId: string; readonly model: string };

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
    try {
      for (const calls of await dueCalls(reconciling, askedAt, Date.now())) {
        if (stopping.aborted) return;
        await ask(reconciling, calls);
      }
    } catch (error) {
      if (!stopping.aborted) logger.warn({ err: error }, 'providers could not be asked about held calls');
    }
    await sleep(LOOK_MS, undefined, { ref: false, signal: stopping }).catch(() => undefined);
  }
}

/** Finds what is due, and notes that it is asked about now. */
async function dueCalls(
  { stores, models }: Reconciling,
  askedAt: Map<string, number>,
  nowMs: number,
): Promise<readonly HeldCalls[]> {
  const held = await stores.budgets.held(null);
  const ids = new Set(held.map(({ id }) => id));
  for (const id of askedAt.keys()) if (!ids.has(id)) askedAt.delete(id);
  const due = new Map<string, HeldCalls>();
  for (const call of held) {
    const { tenant, runId, model } = call;
    if (model === null || !isDue(call, askedAt.get(call.id), nowMs)) continue;
    if ((models.usageLookup?.(model) ?? null) === null) continue;
    askedAt.set(call.id, nowMs);
    due.set(JSON.stringify([tenant, runId, model]), { tenant, runId, model });
  }
  return [...due.values()];
}

/** What a provider does not know soon after the call it hardly knows later: half its age passes until it is asked about again. */
function isDue({ openedAt }: HeldReservation, askedAt: number | undefined, nowMs: number): boolean {
  return askedAt === undefined || nowMs - askedAt >= (nowMs - openedAt.getTime()) / 2;
}

async function ask({ stores, models }: Reconciling, { tenant, runId, model }: HeldCalls): Promise<void> {
  const { price } = await models.resolve({ id: model, outputTokensMax: 1, contextTokensMax: 1 });
  if (price === null) return;
  await settleEarlier(stores, models.usageLookup?.(model) ?? null, { tenant, runId, modelId: model, price });
}
