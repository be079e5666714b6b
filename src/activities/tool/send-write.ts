import { activityInfo } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/common';
import type { MisshapenOutput } from '../../authoring/define-tool.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { ToolResult } from '../../domain/run/results.ts';
import type { Begun, Intent, Lease } from '../../stores/effect-types.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classifyTool, toApplicationFailure } from '../failures.ts';
import { untilStored } from '../until-stored.ts';
import { untilAborted } from './call-read.ts';
import { observationOfAttempt } from './observe-attempt.ts';
import { askDestination } from './reconcile-write.ts';
import { alreadyDone, inFlight, settleWrite } from './settle-write.ts';
import { makeToolContext, type ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';
import { traceTool } from './trace-tool.ts';

/**
 * Makes a write happen once. The ledger holds the intent before the send and the outcome after; what lies between two attempts is
 * settled by the destination's own knowledge of the key, by asking it, or by a person. It is never guessed.
 */
export async function sendWrite(dependencies: ActivityDependencies, call: ToolCall): Promise<ToolResult> {
  const { stores, failpoint } = dependencies;
  await failpoint('effect:before-intent');
  // The deadline runs on this process's monotonic clock from before the intent, so it ends before the database's.
  const sendBy = performance.now() + call.tool.timeoutMs;
  const begun = await stores.effects.begin(call.tenant, intentOf(dependencies, call));
  await failpoint('effect:intended');
  return act(dependencies, call, begun, sendBy);
}

async function act(
  dependencies: ActivityDependencies,
  call: ToolCall,
  begun: Begun,
  sendBy: number,
): Promise<ToolResult> {
  const { stores } = dependencies;
  switch (begun.kind) {
    case 'send':
      return send(dependencies, call, begun.lease, sendBy);
    case 'reconcile':
      return reconcile(dependencies, call, begun.lease);
    case 'withdraw':
      return withdraw(dependencies, call, begun.lease, call.refusal ?? notApproved(call));
    case 'wait':
      throw inFlight(begun.waitMs);
    case 'recorded':
      return { outcome: begun.isError ? 'error' : 'ok', ref: begun.ref };
    case 'already-done':
      return alreadyDone(stores, call, begun);
    case 'unknown':
      return { outcome: 'unknown', effectKey: call.key };
    case 'not-approved':
      return { outcome: 'error', ref: await writeResult(stores, call, { isError: true, output: notApproved(call) }) };
  }
}

function notApproved({ tool }: ToolCall): string {
  return `The approval does not cover these arguments. ${tool.contract.name} was not called.`;
}

async function send(
  dependencies: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
  sendBy: number,
): Promise<ToolResult> {
  const { stores, failpoint, secret, spans } = dependencies;
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
    output = await traceTool(spans, call, () => untilAborted(signal, tool.run(call.input, context)));
  } catch (error) {
    return afterFailedSend(dependencies, call, lease, error);
  }
  await failpoint('effect:replied');
  const result = await settleWrite(dependencies, call, lease, { state: 'succeeded', output, how: 'replied' });
  await failpoint('effect:settled');
  return result;
}

/** Closes an attempt that may not send: a later one has the lease, or this process slept through its deadline. Nothing was sent. */
async function fence({ stores }: ActivityDependencies, call: ToolCall, lease: Lease): Promise<ApplicationFailure> {
  await stores.effects.closeAttempt(call.tenant, lease, 'not-sent', 'the lease or the send deadline had passed');
  await stores.observations.close(lease.observation, { outcome: 'fenced' });
  return inFlight(0);
}

/**
 * What a failed send leaves. A refusal is an outcome, and so is a reply that is not in its documented shape: the write was made. A
 * destination that the tool says it could not reach got nothing. Of anything else nobody knows yet, not even of a refused connection:
 * the tool may have sent something before.
 */
async function afterFailedSend(
  dependencies: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
  error: unknown,
): Promise<ToolResult> {
  const { stores } = dependencies;
  if (error instanceof Error && error.name === 'ToolRefusal') {
    return settleWrite(dependencies, call, lease, { state: 'failed', output: error.message, how: 'replied' });
  }
  if (isMisshapenOutput(error)) {
    const output = { note: `The call was made, but ${error.message}. Do not make it again.`, reply: error.output };
    return settleWrite(dependencies, call, lease, { state: 'succeeded', output, how: 'replied' });
  }
  const failure = classifyTool(error);
  const { cause, message } = failure;
  const outcome = failure.sent === 'no' ? 'not-sent' : 'lost';
  const isGivenUp = await untilStored(async () => {
    await stores.effects.closeAttempt(call.tenant, lease, outcome, message);
    await stores.observations.close(lease.observation, { outcome, cause, message });
    const isTold = call.tool.whenUnavailable === 'observe' && lease.attempt >= call.tool.attemptsMax;
    return isTold && (await stores.effects.isNeverSent(call.tenant, lease.key));
  });
  if (!isGivenUp) throw toApplicationFailure(failure, { retryable: true });
  const output = `${call.tool.contract.name} could not be reached and was not done: ${message}`;
  return settleWrite(dependencies, call, lease, { state: 'failed', output, how: 'replied' });
}

async function reconcile(dependencies: ActivityDependencies, call: ToolCall, lease: Lease): Promise<ToolResult> {
  const { stores } = dependencies;
  const answer = await askDestination(dependencies, call, lease);
  switch (answer.kind) {
    case 'done':
      return settleWrite(dependencies, call, lease, { state: 'succeeded', output: answer.result, how: 'reconciled' });
    case 'never': {
      if (call.refusal !== null) return withdraw(dependencies, call, lease, call.refusal);
      const sendBy = performance.now() + call.tool.timeoutMs;
      const next = await stores.effects.sendAfterNever(call.tenant, intentOf(dependencies, call), lease);
      if (next === null) throw await fence(dependencies, call, lease);
      await stores.observations.close(lease.observation, { outcome: 'never' });
      return send(dependencies, call, next, sendBy);
    }
    case 'cannot-tell': {
      const isUnknown = await stores.effects.declareUnknown(call.tenant, lease, 'the destination cannot tell');
      await stores.observations.close(lease.observation, { outcome: isUnknown ? 'unknown' : 'fenced' });
      if (!isUnknown) throw inFlight(0);
      return { outcome: 'unknown', effectKey: call.key };
    }
  }
}

/** Settles a call that was certainly not sent and by now may not be. */
async function withdraw(
  dependencies: ActivityDependencies,
  call: ToolCall,
  lease: Lease,
  output: string,
): Promise<ToolResult> {
  return settleWrite(dependencies, call, lease, { state: 'failed', output, how: 'reconciled' });
}

/** By name, as with refusals: an agent may come with a copy of its own. */
function isMisshapenOutput(error: unknown): error is MisshapenOutput {
  return error instanceof Error && error.name === 'MisshapenOutput';
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
    // Arguments that a changed build no longer parses cannot be asked about.
    canReconcile: tool.reconcile !== null && tool.parseInput(call.input).kind === 'ok',
    maySend: call.refusal === null,
    observation: observationOfAttempt(dependencies, call),
  };
}
