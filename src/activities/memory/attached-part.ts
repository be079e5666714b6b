import { attachmentKind } from '../../domain/model/attachment.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { chooseModel, type ModelPolicy, tierOf } from '../../domain/model/model-policy.ts';
import type { Transcripts } from '../../stores/transcripts.ts';

/** What becomes of a file that came with a message. */
export type Attached =
  { readonly kind: 'taken' } | { readonly kind: 'left-out'; readonly problem: string; readonly note: MessagePart };

/**
 * Looks whether the model of a release reads a file. One that it does not read is replaced by a note, so that the model can say so; nothing
 * waits for a file that is not there.
 */
export async function attach(
  transcripts: Transcripts,
  place: { readonly tenant: string; readonly scope: string },
  models: ModelPolicy,
  ref: string,
): Promise<Attached> {
  const part = await transcripts.findPart(place.tenant, place.scope, ref);
  if (part === null || part.kind !== 'file') {
    return leftOut('a file', 'it is not stored for this run; it was erased, or written for another subject');
  }
  const { id, reads = [] } = chooseModel(models, tierOf(models, undefined));
  const kind = attachmentKind(part.mediaType);
  if (reads.includes(kind)) return { kind: 'taken' };
  const known = reads.length === 0 ? 'no files' : `only ${reads.join(', ')}`;
  return leftOut(`the file ${JSON.stringify(part.name)} (${part.mediaType})`, `the model ${id} reads ${known}`);
}

function leftOut(what: string, why: string): Attached {
  return {
    kind: 'left-out',
    problem: `${what} cannot be used: ${why}`,
    note: { kind: 'user-text', text: `[${what} came with this message and was left out: ${why}]` },
  };
}
