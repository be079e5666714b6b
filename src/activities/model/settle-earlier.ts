import { costOf, type ModelPrice } from '../../domain/model/price.ts';
import { totalTokens } from '../../domain/model/usage.ts';
import type { Stores } from '../../stores/stores.ts';
import type { UsageLookup } from './look-up-usage.ts';

/** Milliseconds that a call waits for what its provider knows of earlier ones. */
const LOOKUP_MS = 2_000;

export type EarlierCalls = {
  readonly tenant: string;
  readonly runId: string;
  readonly modelId: string;
  readonly price: ModelPrice;
  /** Only these reservations; all of the run's at the model where it is missing. */
  readonly only?: ReadonlySet<string>;
};

/**
 * Settles what earlier attempts of a run hold, where their provider can be asked what it charged for them. Each is settled in a transaction
 * of its own and once, whoever knows first: the attempt itself may still answer. What is not known stays held.
 */
export async function settleEarlier(
  { unansweredCalls }: Pick<Stores, 'unansweredCalls'>,
  lookUp: UsageLookup | null,
  { tenant, runId, modelId, price, only }: EarlierCalls,
): Promise<void> {
  if (lookUp === null) return;
  const signal = AbortSignal.timeout(LOOKUP_MS);
  const calls = await unansweredCalls.list(tenant, runId, modelId);
  await Promise.all(
    calls.map(async (call) => {
      if (only?.has(call.reservationId) === false) return;
      const known = await lookUp(call.reservationId, signal);
      if (known.kind === 'unknown') return;
      const usage = known.kind === 'charged' ? known.usage : null;
      const costPico = usage === null ? 0n : costOf(price, usage);
      await unansweredCalls.settle(
        tenant,
        call,
        usage === null ? { kind: 'free' } : { kind: 'settled', costPico, tokens: totalTokens(usage) },
        usage === null ? null : { usage, costPico, priceVersion: price.version },
      );
    }),
  );
}
