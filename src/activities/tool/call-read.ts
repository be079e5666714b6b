import { activityInfo, Context } from '@temporalio/activity';
import type { ToolResult } from '../../domain/run/results.ts';
import type { JsonValue } from '../../domain/json.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import { type OpenObservation, openObservation } from '../../stores/observations.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classifyTool, isSecretMissing, toApplicationFailure } from '../failures.ts';
import { observationOfAttempt } from './observe-attempt.ts';
import { makeToolContext, type ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';
import { whatItTells } from './what-it-tells.ts';
import { traceTool } from './trace-tool.ts';

/** Calls a read. It may be called again, so a failure is retried and then told to the model. */
export async function callRead(dependencies: ActivityDependencies, call: ToolCall): Promise<ToolResult> {
  const { stores, secret, spans } = dependencies;
  const { tool } = call;
  const { attempt } = activityInfo();
  const observation = await openObservation(stores.db, call.tenant, observationOfAttempt(dependencies, call));
  const signal = AbortSignal.any([Context.current().cancellationSignal, AbortSignal.timeout(tool.timeoutMs)]);
  let output: JsonValue;
  try {
    const context = makeToolContext(call, { signal, attempt, secret });
    output = await traceTool(spans, call, () => untilAborted(signal, tool.run(call.input, context)));
  } catch (error) {
    if (Context.current().cancellationSignal.aborted) {
      // It was called off, not killed; where that cannot be written, the cancellation itself matters more.
      await stores.observations.close(observation, { outcome: 'cancelled' }).catch(() => undefined);
      throw error;
    }
    return afterFailedRead(dependencies, call, observation, error);
  }
  const ref = await writeResult(stores, call, { isError: false, output });
  await stores.observations.close(observation, { outcome: 'ok', ref });
  return { outcome: 'ok', ref, tells: await whatItTells(stores, call, output) };
}

/** A refusal is told to the model at once, other trouble when the attempts are used up. Only a tool that asks for it blocks the run. */
async function afterFailedRead(
  { stores }: ActivityDependencies,
  call: ToolCall,
  observation: OpenObservation,
  error: unknown,
): Promise<ToolResult> {
  const { tool } = call;
  const { attempt, scheduledTimestampMs } = activityInfo();
  const failure = classifyTool(error);
  const isRefusal = error instanceof Error && error.name === 'ToolRefusal';
  await stores.observations.close(observation, {
    outcome: isRefusal ? 'refused' : 'failed',
    message: failure.message,
    ...(isRefusal ? {} : { cause: failure.cause }),
  });
  if (!isRefusal) {
    const isUnreachable = failure.sent === 'no';
    if (isSecretMissing(error) || (isUnreachable && tool.whenUnavailable === 'block'))
      throw toApplicationFailure(failure, { retryable: false });
    const hasTime = Date.now() - scheduledTimestampMs < LIMITS.retryMs;
    if (attempt < tool.attemptsMax && hasTime) {
      throw toApplicationFailure({ ...failure, disposition: 'transient' }, { retryable: true });
    }
  }
  const output = isRefusal
    ? error.message
    : `${tool.contract.name} failed after ${attempt} attempts: ${failure.message}`;
  const ref = await writeResult(stores, call, { isError: true, output });
  return { outcome: 'error', ref, tells: await whatItTells(stores, call, output) };
}

/** Stops waiting for a tool that does not listen to its signal. */
export async function untilAborted<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => undefined);
    aborted.promise.catch(() => undefined);
  }
}
