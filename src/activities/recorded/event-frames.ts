import { crc32 } from './checksums.ts';

/** A stream of binary events, such as Amazon Bedrock's: of each event its headers as they came, in base64, and its payload. */
export type EventFrames = {
  readonly heads: readonly string[];
  readonly payloads: readonly string[];
  /** Bytes after the last whole event: it was cut there. */
  readonly rest: number;
};

/** Where the headers of an event begin: after two lengths and their checksum. */
const HEADERS_AT = 12;

/** Bytes of an event beside its headers and its payload. */
const FRAME_BYTES = HEADERS_AT + 4;

/**
 * Takes a stream of binary events apart. Null for bytes that are none, or whose payloads are no lines of text.
 *
 * @see the event stream encoding of Smithy (application/vnd.amazon.eventstream)
 */
export function readFrames(bytes: Uint8Array): EventFrames | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [heads, payloads]: [string[], string[]] = [[], []];
  let at = 0;
  while (at + HEADERS_AT <= bytes.length) {
    const [length, headerLength] = [view.getUint32(at), view.getUint32(at + 4)];
    const isFrame =
      length >= FRAME_BYTES + headerLength && crc32(bytes.subarray(at, at + 8)) === view.getUint32(at + 8);
    if (!isFrame) return null;
    const end = at + length;
    if (end > bytes.length) break;
    // What is broken is kept as it is, so that it is refused again.
    if (crc32(bytes.subarray(at, end - 4)) !== view.getUint32(end - 4)) return null;
    const from = at + HEADERS_AT;
    const payload = readText(bytes.subarray(from + headerLength, end - 4));
    if (payload === null) return null;
    heads.push(Buffer.from(bytes.subarray(from, from + headerLength)).toString('base64'));
    payloads.push(payload);
    at = end;
  }
  return { heads, payloads, rest: bytes.length - at };
}

/** Puts a stream of binary events together, with the lengths and checksums of what is in it now. */
export function writeFrames({ heads, payloads, rest }: EventFrames): Uint8Array {
  const frames = heads.map((head, index) => writeFrame(Buffer.from(head, 'base64'), payloads[index] ?? ''));
  return Buffer.concat([...frames, cutFrame(rest)]);
}

/** Says how many bytes an event has. */
export function frameBytes(head: string, payload: string): number {
  return FRAME_BYTES + Buffer.byteLength(head, 'base64') + Buffer.byteLength(payload);
}

function writeFrame(headers: Buffer, payload: string): Buffer {
  const length = FRAME_BYTES + headers.length + Buffer.byteLength(payload);
  const frame = Buffer.alloc(length);
  frame.writeUInt32BE(length, 0);
  frame.writeUInt32BE(headers.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  headers.copy(frame, HEADERS_AT);
  frame.write(payload, HEADERS_AT + headers.length);
  frame.writeUInt32BE(crc32(frame.subarray(0, -4)), length - 4);
  return frame;
}

/** The beginning of an event that never ends: whoever reads it waits for the rest. What it said is not kept. */
function cutFrame(bytes: number): Buffer {
  const frame = Buffer.alloc(Math.max(bytes, HEADERS_AT));
  frame.writeUInt32BE(FRAME_BYTES + bytes, 0);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  return frame.subarray(0, bytes);
}

/** Each payload is a line of the recorded text. */
function readText(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[\r\n]/.test(text) ? null : text;
  } catch {
    return null;
  }
}
