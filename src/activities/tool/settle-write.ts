import type { ApplicationFailure } from '@temporalio/common';
import type { JsonValue } from '../../domain/json.ts';
import type { ToolResult } from '../../domain/run/results.ts';
import type { EffectOutcome, Lease, Settled } from '../../stores/effect-types.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { toApplicationFailure } from '../failures.ts';
import { untilStored } from '../until-stored.ts';
import type { ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';

/**
 * Writes an outcome that is known. It is kept in hand while the database is away: losing it would make the effect unknown.
 *
 * @throws ApplicationFailure to be retried when a later attempt has the lease: its outcome counts.
 */
export async function settleWrite(
  { stores }: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
  { state, output, how }: Pick<EffectOutcome, 'state' | 'how'> & { readonly output: JsonValue },
): Promise<ToolResult> {
  const settled = await untilStored(async (): Promise<Settled> => {
    const ref = await writeResult(stores, call, { isError: state === 'failed', output });
    const counts = await stores.effects.settle(call.tenant, lease, { state, ref, how });
    await stores.observations.close(lease.observation, {
      outcome: counts.kind === 'settled' ? state : counts.kind,
      ref: counts.kind === 'settled' ? counts.ref : ref,
    });
    return counts;
  });
  switch (settled.kind) {
    case 'settled':
      return { outcome: settled.state === 'failed' ? 'error' : 'ok', ref: settled.ref };
    case 'already-done':
      return untilStored(() => alreadyDone(stores, call, settled));
    case 'superseded':
      throw inFlight(0);
  }
}

/** Tells the model that another call made the effect. It is written in this run's own scope: the other's result is not readable here. */
export async function alreadyDone(
  stores: ActivityDependencies['stores'],
  call: ToolCall,
  { runId, at }: { readonly runId: string; readonly at: Date },
): Promise<ToolResult> {
  const output = `Not done again: the same effect was made by run ${runId} at ${at.toISOString()}.`;
  return { outcome: 'already-done', ref: await writeResult(stores, call, { isError: false, output }) };
}

/** Gives the slot back until the other attempt can no longer send. */
export function inFlight(waitMs: number): ApplicationFailure {
  const message = 'another attempt may still send; waiting for its deadline';
  return toApplicationFailure(
    { cause: 'infra', disposition: 'transient', message, retryAfterMs: Math.max(waitMs, 50), sent: 'no' },
    { retryable: true },
  );
}
