import { activityInfo, Context } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/common';
import type { JsonValue } from '../../domain/json.ts';
import type { ToolResult } from '../../domain/run/results.ts';
import type { Begun, EffectOutcome, Intent, Lease } from '../../stores/effect-types.ts';
import { closeObservation } from '../../stores/observations.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classifyTool, toApplicationFailure } from '../failures.ts';
import { untilStored } from '../until-stored.ts';
import { untilAborted } from './call-read.ts';
import { observationOfAttempt } from './observe-attempt.ts';
import { makeToolContext, type ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';

/**
 * Makes a write happen once. The ledger holds the intent before the send and the outcome after; what lies between two attempts is
 * settled by the destination's own knowledge of the key, by asking it, or by a person. It is never guessed.
 */
export async function sendWrite(dependencies: ActivityDependencies, call: ToolCall): Promise<ToolResult> {
  const { stores, failpoint } = dependencies;
  await failpoint('effect:before-intent');
  // The deadline runs on this process's monotonic clock from before the intent, so it ends before the database's.
  const sendBy = performance.now() + call.tool.timeoutMs;
  const intent = intentOf(dependencies, call);
  const begun = await stores.effects.begin(call.tenant, intent);
  await failpoint('effect:intended');
  return act(dependencies, call, intent, begun, sendBy);
}

async function act(
  dependencies: ActivityDependencies,
  call: ToolCall,
  intent: Intent,
  begun: Begun,
  sendBy: number,
): Promise<ToolResult> {
  const { stores } = dependencies;
  switch (begun.kind) {
    case 'send':
      return send(dependencies, call, begun.lease, sendBy);
    case 'reconcile':
      return reconcile(dependencies, call, intent, begun.lease);
    case 'wait':
      throw inFlight(begun.waitMs);
    case 'recorded':
      return { outcome: begun.isError ? 'error' : 'ok', ref: begun.ref };
    case 'already-done': {
      const output = `Not done again: the same effect was made by run ${begun.runId} at ${begun.at.toISOString()}.`;
      return { outcome: 'already-done', ref: await writeResult(stores, call, { isError: false, output }) };
    }
    case 'unknown':
      return { outcome: 'unknown', effectKey: call.key };
    case 'not-approved': {
      const output = `The approval does not cover these arguments. ${call.tool.contract.name} was not called.`;
      return { outcome: 'error', ref: await writeResult(stores, call, { isError: true, output }) };
    }
  }
}

async function send(
  dependencies: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
  sendBy: number,
): Promise<ToolResult> {
  const { stores, failpoint, secret } = dependencies;
  const { tool, tenant } = call;
  const holdsLease = await stores.effects.holdsLease(tenant, lease);
  const remainingMs = Math.floor(sendBy - performance.now());
  if (!holdsLease || remainingMs <= 0) throw await fence(dependencies, call, lease);
  // A stop of the run does not abort a write: it finishes, within its deadline, and its outcome is known.
  const signal = AbortSignal.timeout(remainingMs);
  const context = makeToolContext(call, { signal, attempt: lease.attempt, secret });
  await failpoint('effect:sending');
  // A process that wakes from a freeze comes here before its timers do: the clock knows what the signal does not know yet.
  if (performance.now() >= sendBy) throw await fence(dependencies, call, lease);
  let output: JsonValue;
  try {
    output = await untilAborted(signal, tool.run(call.input, context));
  } catch (error) {
    return afterFailedSend(dependencies, call, lease, error);
  }
  await failpoint('effect:replied');
  const result = await settle(dependencies, call, lease, { state: 'succeeded', output, how: 'replied' });
  await failpoint('effect:settled');
  return result;
}

/** Closes an attempt that may not send: a later one has the lease, or this process slept through its deadline. Nothing was sent. */
async function fence({ stores }: ActivityDependencies, call: ToolCall, lease: Lease): Promise<ApplicationFailure> {
  await stores.effects.closeAttempt(call.tenant, lease, 'not-sent', 'the lease or the send deadline had passed');
  await closeObservation(stores.db, lease.observation, { outcome: 'fenced' });
  return inFlight(0);
}

/** Writes an outcome that is known. It is kept in hand while the database is away: losing it would make the effect unknown. */
async function settle(
  { stores }: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
  { state, output, how }: Pick<EffectOutcome, 'state' | 'how'> & { readonly output: JsonValue },
): Promise<ToolResult> {
  return untilStored(async () => {
    const ref = await writeResult(stores, call, { isError: state === 'failed', output });
    const settled = await stores.effects.settle(call.tenant, lease, { state, ref, how });
    await closeObservation(stores.db, lease.observation, { outcome: state, ref: settled.ref });
    return { outcome: settled.state === 'failed' ? 'error' : 'ok', ref: settled.ref };
  });
}

/**
 * What a failed send leaves. A refusal is an outcome. A destination that the tool says it could not reach got nothing. Of anything else
 * nobody knows yet, not even of a refused connection: the tool may have sent something before.
 */
async function afterFailedSend(
  dependencies: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
  error: unknown,
): Promise<ToolResult> {
  const { stores } = dependencies;
  if (error instanceof Error && error.name === 'ToolRefusal') {
    return settle(dependencies, call, lease, { state: 'failed', output: error.message, how: 'replied' });
  }
  const failure = classifyTool(error);
  const { cause, message } = failure;
  const outcome = failure.sent === 'no' ? 'not-sent' : 'lost';
  const isGivenUp = await untilStored(async () => {
    await stores.effects.closeAttempt(call.tenant, lease, outcome, message);
    await closeObservation(stores.db, lease.observation, { outcome, cause, message });
    const isTold = call.tool.whenUnavailable === 'observe' && lease.attempt >= call.tool.attemptsMax;
    return isTold && (await stores.effects.isNeverSent(call.tenant, lease.key));
  });
  if (!isGivenUp) throw toApplicationFailure(failure, { retryable: true });
  const output = `${call.tool.contract.name} could not be reached and was not done: ${message}`;
  return settle(dependencies, call, lease, { state: 'failed', output, how: 'replied' });
}

async function reconcile(
  dependencies: ActivityDependencies,
  call: ToolCall,
  intent: Intent,
  lease: Lease,
): Promise<ToolResult> {
  const { stores, secret } = dependencies;
  const { tool, tenant, key } = call;
  if (tool.reconcile === null) throw new Error(`${tool.contract.name} cannot reconcile`);
  const signal = AbortSignal.any([Context.current().cancellationSignal, AbortSignal.timeout(tool.timeoutMs)]);
  const context = makeToolContext(call, { signal, attempt: lease.attempt, secret });
  const answer = await untilAborted(signal, tool.reconcile(key, call.input, context));
  switch (answer.kind) {
    case 'done': {
      return settle(dependencies, call, lease, { state: 'succeeded', output: answer.result, how: 'reconciled' });
    }
    case 'never': {
      const sendBy = performance.now() + tool.timeoutMs;
      const next = await stores.effects.sendAfterNever(tenant, intent, lease);
      if (next === null) throw inFlight(0);
      return send(dependencies, call, next, sendBy);
    }
    case 'cannot-tell':
      await stores.effects.declareUnknown(tenant, lease, 'the destination cannot tell');
      return { outcome: 'unknown', effectKey: key };
  }
}

/** Gives the slot back until the attempt before can no longer send. */
function inFlight(waitMs: number): ApplicationFailure {
  const message = 'an earlier attempt may still send; waiting for its deadline';
  return toApplicationFailure(
    { cause: 'infra', disposition: 'transient', message, retryAfterMs: Math.max(waitMs, 50), sent: 'no' },
    { retryable: true },
  );
}

function intentOf(dependencies: ActivityDependencies, call: ToolCall): Intent {
  const { facts, tool, request } = call;
  const isResendable = tool.destinationHoldsKeys || tool.contract.effect === 'idempotent-write';
  return {
    key: call.key,
    root: facts.root,
    runId: facts.id,
    turn: request.turn,
    callIndex: request.index,
    tool: activityInfo().activityType,
    contract: request.contract,
    argsHash: request.argsHash,
    sendWithinMs: tool.timeoutMs,
    worker: dependencies.settings.worker,
    principal: facts.principal,
    approvalId: request.approval ?? null,
    destinationHoldsKeys: isResendable,
    canReconcile: tool.reconcile !== null,
    observation: observationOfAttempt(dependencies, call),
  };
}
