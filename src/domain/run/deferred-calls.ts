import { textProblem } from '../text-problem.ts';
import { readDeferredToken } from './deferred-token.ts';
import { jsonProblem } from './json-problem.ts';
import { LIMITS } from './limits.ts';
import type { RunMessage } from './message.ts';
import type { DeferredCall, PendingCall, Run } from './run.ts';

type CompleteTool = RunMessage & { readonly kind: 'completeTool' };

/** Tells whether a call waits for a result from outside. */
export function isDeferred(call: PendingCall): call is DeferredCall {
  return call.deferred !== undefined;
}

/** Finds the call that the run goes on with: the first that has something to do before the results from outside are awaited. */
export function nextCall(calls: readonly PendingCall[]): PendingCall | undefined {
  return calls.find((call) => !isDeferred(call)) ?? calls[0];
}

/**
 * Says why a result from outside cannot be taken, or null when it can. A fast destination may answer before the run has heard of the token;
 * such a result is taken for the call that the token names, and held against the real token as soon as that is known.
 */
export function completionProblem(run: Run, { token, result }: CompleteTool): string | null {
  const place = readDeferredToken(token);
  if (place === null) return 'token is not one that a deferred tool was given';
  if (place.runId !== run.id) return `the token is of run ${place.runId}, not of ${run.id}`;
  const call = place.turn === run.turn ? run.calls.find(({ index }) => index === place.index) : undefined;
  if (call === undefined) {
    return `call ${place.index} of turn ${place.turn} waits for no result any more: it has one, or its time is over; ${waitingCalls(run)}`;
  }
  if (call.deferred === undefined) return earlyProblem(run, call, token) ?? resultProblem(result);
  if (call.deferred.token !== token)
    return `the token is not the one that ${call.tool} was given; ${waitingCalls(run)}`;
  if (call.deferred.completion !== undefined) return `${call.tool} was given its result already`;
  if (call.deferred.isSettling) return `the time of ${call.tool} is over; no result came before`;
  return resultProblem(result);
}

/** Records a valid result from outside with its call. */
export function recordCompletion(run: Run, { id, principal, token, result }: CompleteTool): Run {
  const index = readDeferredToken(token)?.index;
  // What else the sender put beside it is of no use.
  const completion = {
    id,
    principal,
    result: 'output' in result ? { output: result.output } : { error: result.error },
  };
  return changeCall(run, index, (call) =>
    call.deferred === undefined
      ? { ...call, early: [...(call.early ?? []), { ...completion, token }] }
      : { ...call, deferred: { ...call.deferred, completion } },
  );
}

/** Lets a call wait for its result. One that came early and has the token is the result; the others were not meant for it. */
export function deferCall(
  run: Run,
  index: number,
  { token, deadlineAt }: { readonly token: string; readonly deadlineAt: number },
): Run {
  return changeCall(run, index, ({ early, ...call }) => {
    const own = early?.find((each) => each.token === token);
    if (own === undefined) return { ...call, deferred: { token, deadlineAt } };
    const { id, principal, result } = own;
    return { ...call, deferred: { token, deadlineAt, completion: { id, principal, result } } };
  });
}

/** Notes that the result, or that none came in time, is being written. */
export function settleCall(run: Run, index: number): Run {
  return changeCall(run, index, (call) =>
    call.deferred === undefined ? call : { ...call, deferred: { ...call.deferred, isSettling: true } },
  );
}

/** Finds the first call whose result is there or whose time is over. What is being settled stays due. */
export function dueCall(calls: readonly PendingCall[], now: number): DeferredCall | undefined {
  return calls
    .filter(isDeferred)
    .find(
      ({ deferred }) => deferred.completion !== undefined || deferred.isSettling === true || now >= deferred.deadlineAt,
    );
}

function changeCall(run: Run, index: number | undefined, change: (call: PendingCall) => PendingCall): Run {
  return { ...run, calls: run.calls.map((call) => (call.index === index ? change(call) : call)) };
}

/** A call that is not begun, or that a person is asked about, has given its token to nobody. */
function earlyProblem(run: Run, call: PendingCall, token: string): string | null {
  const isBegun = call.verdict.kind === 'allow' || call.approval?.isApproved === true;
  if (!isBegun) return `the token is not one that ${call.tool} was given; ${waitingCalls(run)}`;
  if (call.early?.some((each) => each.token === token)) return `${call.tool} was given its result already`;
  if ((call.early?.length ?? 0) < LIMITS.earlyResultsMax) return null;
  return `${LIMITS.earlyResultsMax} results wait for ${call.tool} to begin already; send this one again when it has`;
}

/** A signal comes as it was sent, so nothing is taken for granted. */
function resultProblem(result: unknown): string | null {
  const given: { readonly output?: unknown; readonly error?: unknown } =
    result !== null && typeof result === 'object' ? result : {};
  if ((given.output === undefined) === (given.error === undefined)) {
    return 'result must be { output } with JSON or { error } with a text, one of them';
  }
  if (given.output === undefined) return textProblem('error', given.error);
  return jsonProblem('output has', given.output, 'send a reference to it instead');
}

/** Names the calls that wait, and not their tokens: whoever sends a wrong one shall not be told the right one. */
function waitingCalls({ turn, calls }: Run): string {
  const open = calls.filter(isDeferred).filter(({ deferred }) => deferred.completion === undefined);
  const waiting = open.map(({ tool, index }) => `${tool} (call ${index} of turn ${turn})`);
  return `waiting: ${waiting.join(', ') || 'none'}`;
}
