import { activityInfo, Context } from '@temporalio/activity';
import type { ToolResult } from '../../domain/run/results.ts';
import { truncate } from '../../domain/json.ts';
import { closeObservation, openObservation } from '../../stores/observations.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classify } from '../failures.ts';
import { observationOfAttempt } from './observe-attempt.ts';
import { makeToolContext, type ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';

/** Calls a read. It may be called again, so a failure is retried and then told to the model. */
export async function callRead(dependencies: ActivityDependencies, call: ToolCall): Promise<ToolResult> {
  const { stores, secret } = dependencies;
  const { tool } = call;
  const { attempt } = activityInfo();
  const observation = await openObservation(stores.db, call.tenant, observationOfAttempt(dependencies, call));
  const signal = AbortSignal.any([Context.current().cancellationSignal, AbortSignal.timeout(tool.timeoutMs)]);
  try {
    const output = await untilAborted(signal, tool.run(call.input, makeToolContext(call, { signal, attempt, secret })));
    const ref = await writeResult(stores, call, { isError: false, output });
    await closeObservation(stores.db, observation, { outcome: 'ok', ref });
    return { outcome: 'ok', ref };
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
    const isRefusal = name === 'ToolRefusal';
    const failure = isRefusal ? null : classify(error);
    const closed = {
      outcome: isRefusal ? 'refused' : 'failed',
      message: truncate(message, 300),
      ...(failure === null ? {} : { cause: name === 'TimeoutError' ? ('tool-timeout' as const) : failure.cause }),
    };
    await closeObservation(stores.db, observation, closed);
    if (Context.current().cancellationSignal.aborted) throw error;
    if (name === 'ToolUnreachable' && tool.whenUnavailable === 'block') throw error;
    if (!isRefusal && attempt < tool.attemptsMax) throw error;
    const output = isRefusal ? message : `${tool.contract.name} failed after ${attempt} attempts: ${closed.message}`;
    return { outcome: 'error', ref: await writeResult(stores, call, { isError: true, output }) };
  }
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
