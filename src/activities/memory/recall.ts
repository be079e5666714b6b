import { type ChainNode, summaryOf } from '../../domain/memory/chain.ts';
import { formatRecalled, recallPassages } from '../../domain/memory/recall.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { Stores } from '../../stores/stores.ts';
import { ASK_PERSON } from '../release/agent-release.ts';

/**
 * Adds to what is new the passages of replaced turns that fit what a person just said. They are stored as a part of the turn, so that the prompt
 * stays what it was: a later call has the same prefix, and another attempt at this one the same words.
 *
 * @param history The transcript before what is new.
 * @returns the references of the delta, with the recalled part before what was said.
 */
export async function withRecalled(
  { transcripts, archive }: Pick<Stores, 'transcripts' | 'archive'>,
  { tenant, scope }: { readonly tenant: string; readonly scope: string },
  history: readonly ChainNode[],
  delta: readonly string[],
): Promise<readonly string[]> {
  if (!history.some((node) => summaryOf(node) !== null)) return delta;
  const parts = await Promise.all(delta.map(async (ref) => transcripts.readPart(tenant, scope, ref)));
  const question = parts.flatMap(saidByPerson).join('\n');
  if (question === '') return delta;
  const known = history.flatMap(({ segments }) =>
    segments.flatMap(({ part }) => (part.kind === 'recalled' ? part.passages : [])),
  );
  const passages = recallPassages(await archive.indexesOf(tenant, scope, history), question, new Set(known));
  if (passages.length === 0) return delta;
  const ref = await transcripts.writePart(tenant, scope, {
    kind: 'recalled',
    text: formatRecalled(passages),
    passages: passages.map(({ id }) => id),
  });
  // Results of calls come first: providers want them right after the calls.
  const results = parts.findIndex((part) => part.kind !== 'tool-result');
  const at = results === -1 ? delta.length : results;
  return [...delta.slice(0, at), ref, ...delta.slice(at)];
}

function saidByPerson(part: MessagePart): readonly string[] {
  if (part.kind === 'user-text' || part.kind === 'guidance') return [part.text];
  const isAnswer = part.kind === 'tool-result' && part.toolName === ASK_PERSON.name;
  return isAnswer && typeof part.output === 'string' ? [part.output] : [];
}
