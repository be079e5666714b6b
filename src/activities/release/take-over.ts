import type { MessagePart } from '../../domain/model/message-part.ts';
import type { Stop } from '../../stores/ended-runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { notComing } from '../tool/defer-call.ts';
import { toolCallId } from '../tool/tool-call-id.ts';

/** What a successor takes over from the run before it. */
export type TakenOver = { readonly agent: string; readonly scope: string; readonly head: string | null };

type OpenCall = Stop['open'][number];

/**
 * Finds the transcript that a run goes on with. What was said to the run before and never answered is in it: to people a conversation is one.
 * Calls that had no result when the run before ended get the one that came since, or one that
 * says what is known of them, because providers refuse a transcript without, and the model must know what it does not know. Null when the
 * run before has no row: it was never admitted, or erased.
 */
export async function takeOver(
  { stores }: ActivityDependencies,
  tenant: string,
  previous: string,
): Promise<TakenOver | null> {
  const run = await stores.endedRuns.find(tenant, previous);
  if (run === null) return null;
  const { agent, scope } = run;
  const { head, turn, results, inputs, open } = await stores.endedRuns.stopOf(tenant, run);
  const closed = [...results];
  for (const each of open) {
    const { index } = each.call;
    const known = each.standing?.kind === 'result' ? each.standing.ref : null;
    closed.push({ index, ref: known ?? (await stores.transcripts.writePart(tenant, scope, closing(turn, each))) });
  }
  const refs = [
    ...closed.toSorted((a, b) => a.index - b.index).map(({ ref }) => ref),
    ...inputs.flatMap((ref) => ref ?? []),
  ];
  return { agent, scope, head: refs.length === 0 ? head : await stores.transcripts.append(tenant, scope, head, refs) };
}

function closing(turn: number, { call: { index, tool }, standing }: OpenCall): MessagePart {
  const id = toolCallId(turn, index);
  return { kind: 'tool-result', toolCallId: id, toolName: tool, isError: true, output: whatBecameOf(tool, standing) };
}

function whatBecameOf(tool: string, standing: OpenCall['standing']): string {
  switch (standing?.kind) {
    case 'awaited':
      return notComing(tool);
    case 'begun':
      return 'Nobody knows whether this was done: the conversation was interrupted meanwhile. Look before you do it again.';
    case 'result':
    case undefined:
      return 'This was not done: the conversation was interrupted before.';
  }
}
