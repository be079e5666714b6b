import { chunksAfter, chunksOf, decodeBody, movedChunks } from './body-text.ts';
import { frameBytes, readFrames, writeFrames } from './event-frames.ts';
import { maskReply } from './mask-reply.ts';
import { applyEdits, type Edit, type Masker } from './masker.ts';
import type { Answered } from './recording.ts';

type Chunk = { readonly atMs: number; readonly bytes: Uint8Array };
type Body = Pick<Answered, 'encoding' | 'body' | 'chunks' | 'frames'>;

/** Begins the payload of a binary event in the text of a recording, as a stream of events that is text has it. */
const PAYLOAD = 'data:';

/**
 * Masks the body of a reply. Binary events are kept by their payloads, and text as text; anything else is read as if each byte were a character, so
 * that what can be found in it is masked there too.
 */
export function keepBody(chunks: readonly Chunk[], masker: Masker): Body {
  const sizes = chunks.map(({ atMs, bytes }): [number, number] => [atMs, bytes.length]);
  const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes));
  const frames = readFrames(bytes);
  if (frames !== null && frames.heads.length > 0) {
    const { heads, payloads, rest } = frames;
    const said = textOf(payloads);
    const body = applyEdits(said, maskReply(said, masker));
    const kept = { heads: [...heads], rest };
    return { encoding: 'frames', body, frames: kept, chunks: movedFrames(kept, payloads, payloadsOf(body), sizes) };
  }
  const text = decodeBody(bytes);
  if (text !== null) {
    const edits = maskReply(text, masker);
    return { encoding: 'text', body: applyEdits(text, edits), chunks: chunksAfter(text, edits, sizes) };
  }
  const characters = bytes.toString('latin1');
  const edits = masker.edits(characters);
  const replaced = edits.map(({ start, end, text: mask }) => ({
    from: start,
    bytes: end - start,
    writtenBytes: mask.length,
  }));
  const masked = Buffer.from(applyEdits(characters, edits), 'latin1');
  return { encoding: 'base64', body: masked.toString('base64'), chunks: movedChunks(bytes.length, replaced, sizes) };
}

/** Gives the chunks of an answer. Masks of values that this run knows become those values again, so that tools get what they know. */
export function chunksIn({ encoding, body, frames, chunks }: Answered, unmasked: (text: string) => readonly Edit[]) {
  if (encoding === 'base64') return chunksOf(Buffer.from(body, 'base64'), chunks).filter(isFilled);
  const edits = unmasked(body);
  const text = applyEdits(body, edits);
  if (encoding === 'text' || frames === undefined) {
    return chunksOf(new TextEncoder().encode(text), chunksAfter(body, edits, chunks)).filter(isFilled);
  }
  const payloads = payloadsOf(text);
  const bytes = writeFrames({ ...frames, payloads });
  return chunksOf(bytes, movedFrames(frames, payloadsOf(body), payloads, chunks)).filter(isFilled);
}

function textOf(payloads: readonly string[]): string {
  return payloads.map((payload) => `${PAYLOAD}${payload}\n`).join('');
}

function payloadsOf(text: string): readonly string[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.slice(PAYLOAD.length));
}

function movedFrames(
  { heads, rest }: NonNullable<Answered['frames']>,
  before: readonly string[],
  after: readonly string[],
  sizes: readonly (readonly [number, number])[],
): [number, number][] {
  let total = 0;
  const replaced = heads.map((head, index) => {
    const [from, bytes] = [total, frameBytes(head, before[index] ?? '')];
    total += bytes;
    return { from, bytes, writtenBytes: frameBytes(head, after[index] ?? '') };
  });
  return movedChunks(total + rest, replaced, sizes);
}

function isFilled({ bytes }: { readonly bytes: Uint8Array }): boolean {
  return bytes.length > 0;
}
