import type { MessagePart } from '../../domain/model/message-part.ts';
import { readPredecessor, type OpenEffect, type Predecessor } from '../../stores/predecessor.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { toolCallId } from '../tool/tool-call-id.ts';

/** What a successor takes over from the run before it. */
export type TakenOver = { readonly agent: string; readonly scope: string; readonly head: string | null };

type ToolCall = MessagePart & { readonly kind: 'tool-call' };

/**
 * Finds the transcript that a run goes on with. Calls that had no result when the run before ended get one, because providers refuse a
 * transcript without, and the model must know what it does not know. The same run gives the same head each time. Null when the run
 * before has no row: it was never admitted, or erased.
 */
export async function takeOver(
  { stores }: ActivityDependencies,
  tenant: string,
  previous: string,
): Promise<TakenOver | null> {
  const found = await readPredecessor(stores.db, tenant, previous);
  if (found === null) return null;
  const { scope, head } = found;
  const open = openCalls(await stores.transcripts.read(tenant, scope, head));
  const refs: string[] = [];
  for (const call of open) {
    const effect = effectOf(found, call);
    refs.push(effect?.ref ?? (await stores.transcripts.writePart(tenant, scope, closing(call, effect))));
  }
  return {
    agent: found.agent,
    scope,
    head: refs.length === 0 ? head : await stores.transcripts.append(tenant, scope, head, refs),
  };
}

/** Only the last turn can have calls without a result. Ids repeat where the run before was a successor itself. */
function openCalls(parts: readonly MessagePart[]): readonly ToolCall[] {
  let open: ToolCall[] = [];
  for (const part of parts) {
    if (part.kind === 'tool-call') open.push(part);
    if (part.kind === 'tool-result') open = open.filter((call) => call.toolCallId !== part.toolCallId);
  }
  return open;
}

function effectOf({ effects }: Predecessor, { toolCallId: id }: ToolCall): OpenEffect | null {
  return effects.find(({ turn, callIndex }) => toolCallId(turn, callIndex) === id) ?? null;
}

function closing({ toolCallId: id, toolName }: ToolCall, effect: OpenEffect | null): MessagePart {
  const output =
    effect === null
      ? 'This was not done: the conversation was interrupted before.'
      : 'Nobody knows whether this was done: the conversation was interrupted meanwhile. Look before you do it again.';
  return { kind: 'tool-result', toolCallId: id, toolName, isError: true, output };
}
