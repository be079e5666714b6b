import { activityInfo } from '@temporalio/activity';
import type { ToolResult } from '../../domain/run/results.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { untilStored } from '../until-stored.ts';
import type { ToolCall } from './tool-call.ts';

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
  { tenant, tool, token }: ToolCall,
  result: ToolResult,
): Promise<ToolResult> {
  if (token === null || result.outcome !== 'ok') return result;
  // A tool that is deferred no longer has no time of its own: the row has the one that it began with.
  const timeoutMs = tool.deferred?.timeoutMs ?? null;
  const wait = { timeoutMs, noteRef: result.ref };
  // The work has begun: an attempt that forgets it would begin a read's work again.
  const deadlineAt = await untilStored(() => stores.deferredCalls.letWait(tenant, token, wait));
  return { outcome: 'deferred', token, deadlineAt };
}
