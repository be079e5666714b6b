import { activityInfo } from '@temporalio/activity';
import type { ToolResult } from '../../domain/run/results.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { untilStored } from '../until-stored.ts';
import type { ToolCall } from './tool-call.ts';
import { writeResult } from './tool-result.ts';

/**
 * Finds the token of a call whose tool is deferred, and makes it for the first attempt: it must be known to the database before the tool
 * hands it out. A call that may not be made gets no token; one that an earlier attempt has begun before the build changed keeps its own.
 */
export async function findToken(
  { stores }: ActivityDependencies,
  { tenant, facts, tool, request }: Pick<ToolCall, 'tenant' | 'facts' | 'tool' | 'request'>,
  refusal: string | null,
): Promise<string | null> {
  if (tool.deferred === null && refusal === null) return null;
  const position = { runId: facts.id, turn: request.turn, callIndex: request.index };
  if (tool.deferred === null || refusal !== null) return stores.deferredCalls.tokenOf(tenant, position);
  const { timeoutMs } = tool.deferred;
  return stores.deferredCalls.open(tenant, { ...position, tool: activityInfo().activityType, timeoutMs });
}

/**
 * Lets a call that has begun its work wait for the result. A call that was refused, was made by another run, or of which nobody knows is
 * told as it is.
 */
export async function letCallWait(
  { stores }: ActivityDependencies,
  call: ToolCall,
  result: ToolResult,
): Promise<ToolResult> {
  const { tenant, facts, tool, token, request } = call;
  if (token === null || result.outcome !== 'ok') return result;
  // A run that this one takes up has begun the work, and handed out a token of its own: nobody has this one.
  const position = { runId: facts.id, turn: request.turn, callIndex: request.index };
  const isRoot = facts.root === facts.id;
  const earlier = isRoot ? null : await stores.deferredCalls.begunBefore(tenant, position, result.ref);
  if (earlier !== null) {
    if (earlier.resultRef !== null) return { outcome: 'ok', ref: earlier.resultRef };
    const output = notComing(tool.contract.name);
    return { outcome: 'error', ref: await writeResult(stores, call, { isError: true, output }) };
  }
  // A tool that is deferred no longer has no time of its own: the row has the one that it began with.
  const timeoutMs = tool.deferred?.timeoutMs ?? null;
  const wait = { timeoutMs, noteRef: result.ref };
  // The work has begun: an attempt that forgets it would begin a read's work again.
  const deadlineAt = await untilStored(() => stores.deferredCalls.letWait(tenant, token, wait));
  return { outcome: 'deferred', token, deadlineAt };
}

/** Says that deferred work was begun by a run that takes its result no more. */
export function notComing(tool: string): string {
  return `${tool} was begun, and its result had not come when the run was ended; it does not come any more. Find out what became of it before you begin it again.`;
}
