import { Context } from '@temporalio/activity';
import type { JsonValue } from '../../domain/json.ts';
import type { Reconciliation } from '../../authoring/define-tool.ts';
import type { Lease } from '../../stores/effect-types.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classifyTool, toApplicationFailure } from '../failures.ts';
import { untilStored } from '../until-stored.ts';
import { untilAborted } from './call-read.ts';
import { makeToolContext, type ToolCall } from './tool-call.ts';

/**
 * Asks the destination what became of a write. Asking changes nothing, so whatever the tool throws here is trouble of this attempt only:
 * it is closed, and another one asks again.
 */
export async function askDestination(
  dependencies: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
): Promise<Reconciliation<JsonValue>> {
  const { tool } = call;
  if (tool.reconcile === null) throw new Error(`${tool.contract.name} cannot reconcile`);
  const stop = Context.current().cancellationSignal;
  const signal = AbortSignal.any([stop, AbortSignal.timeout(tool.timeoutMs)]);
  const context = makeToolContext(call, { signal, attempt: lease.attempt, secret: dependencies.secret });
  try {
    return await untilAborted(signal, tool.reconcile(call.key, call.input, context));
  } catch (error) {
    const failure = classifyTool(error);
    await closeAsking(dependencies, call, lease, failure);
    throw stop.aborted ? error : toApplicationFailure(failure, { retryable: true });
  }
}

async function closeAsking(
  { stores }: ActivityDependencies,
  { tenant }: ToolCall,
  lease: Lease,
  { cause, message }: ReturnType<typeof classifyTool>,
): Promise<void> {
  await untilStored(async () => {
    await stores.effects.closeAttempt(tenant, lease, 'not-sent', message);
    await stores.observations.close(lease.observation, { outcome: 'failed', cause, message });
  });
}
