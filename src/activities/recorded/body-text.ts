import type { Edit } from './masker.ts';

type Size = readonly [number, number];

/** Bytes that became others: where they were, how many, and how many there are now. */
export type Replaced = { readonly from: number; readonly bytes: number; readonly writtenBytes: number };

const encoder = new TextEncoder();

/** Bytes of a character that may be missing where a body was cut. */
const CUT_CHARACTER_BYTES_MAX = 3;

/** Decodes a body. A character that was cut at its end is left out. Null for what is no text. */
export function decodeBody(bytes: Uint8Array): string | null {
  for (let missing = 0; missing <= CUT_CHARACTER_BYTES_MAX && missing <= bytes.length; missing += 1) {
    try {
      const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      return decoder.decode(bytes.subarray(0, bytes.length - missing));
    } catch {
      // The next attempt leaves out one byte more.
    }
  }
  return null;
}

/** Says how large each chunk is once a text was edited. A boundary inside an edit moves with what is left of it. */
export function chunksAfter(text: string, edits: readonly Edit[], sizes: readonly Size[]): [number, number][] {
  const replaced = edits.map(({ start, end, text: written }) => ({
    from: byteLength(text.slice(0, start)),
    bytes: byteLength(text.slice(start, end)),
    writtenBytes: byteLength(written),
  }));
  return movedChunks(byteLength(text), replaced, sizes);
}

/** Says how large each chunk is once some of all bytes became others. */
export function movedChunks(total: number, replaced: readonly Replaced[], sizes: readonly Size[]): [number, number][] {
  const moved = (boundary: number): number => {
    let shift = 0;
    for (const { from, bytes, writtenBytes } of replaced) {
      if (boundary <= from) break;
      if (boundary < from + bytes) return from + shift + Math.min(boundary - from, writtenBytes);
      shift += writtenBytes - bytes;
    }
    return boundary + shift;
  };
  let boundary = 0;
  let before = 0;
  return sizes.map(([atMs, bytes]) => {
    boundary = Math.min(boundary + bytes, total);
    const after = moved(boundary);
    const size = after - before;
    before = after;
    return [atMs, size];
  });
}

/** Cuts bytes into chunks of the given sizes. */
export function chunksOf(
  bytes: Uint8Array,
  sizes: readonly Size[],
): readonly { readonly atMs: number; readonly bytes: Uint8Array }[] {
  let from = 0;
  return sizes.map(([atMs, size]) => {
    const chunk = bytes.subarray(from, from + size);
    from += size;
    return { atMs, bytes: chunk };
  });
}

function byteLength(text: string): number {
  return encoder.encode(text).length;
}
