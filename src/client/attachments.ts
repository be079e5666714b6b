import {
  ATTACHMENT_BYTES_MAX,
  ATTACHMENT_TYPES,
  type AttachmentType,
  ATTACHMENTS_BYTES_MAX,
  detectType,
  type FilePart,
} from '../domain/model/attachment.ts';
import { LIMITS } from '../domain/run/limits.ts';
import type { ClientContext } from './context.ts';
import { AttachmentsMissing, InvalidInput } from './errors.ts';

/** A file that goes with a message. */
export type Attachment = {
  /** The file's bytes, at most 10 MiB. */
  readonly data: Uint8Array;
  /** What it is called, 1 to 200 characters on one line; the model reads it. */
  readonly name: string;
  /** PNG, JPEG, GIF, WebP or PDF. Default: what the bytes say; another type than theirs is refused. */
  readonly mediaType?: string;
};

/** Where the files of a run are kept: under a run that is there, else under its subject. */
export type AttachmentPlace = {
  readonly tenant: string;
  /** The run, and the one that it goes on from; the first that has a row decides. */
  readonly agentRunIds: readonly string[];
  /** Subject of a run that is not there yet. */
  readonly subject: string;
};

/**
 * Keeps files before they are spoken of. Their bytes never pass through Temporal: what is sent is the reference that `write` gives. The
 * stores have an adapter for PostgreSQL. Writing a file twice gives the same reference.
 */
export type AttachmentWriter = {
  readonly write: (place: AttachmentPlace, file: FilePart) => Promise<string>;
};

/**
 * Checks files and reads what they are.
 *
 * @throws InvalidInput
 * @throws AttachmentsMissing when there are files and the client has no writer.
 */
export function readAttachments(
  { attachments }: ClientContext,
  files: readonly Attachment[] | undefined,
): readonly FilePart[] {
  if (files === undefined || files.length === 0) return [];
  if (attachments === null) throw new AttachmentsMissing();
  if (files.length > LIMITS.attachmentsMax) {
    throw new InvalidInput(`attachments must be at most ${LIMITS.attachmentsMax}, got ${files.length}`);
  }
  const total = files.reduce((sum, { data }) => sum + (data instanceof Uint8Array ? data.length : 0), 0);
  if (total > ATTACHMENTS_BYTES_MAX) {
    throw new InvalidInput(`attachments have ${total} bytes, at most ${ATTACHMENTS_BYTES_MAX} go with one message`);
  }
  return files.map(readAttachment);
}

/** Keeps checked files, and gives what a message names them by. */
export async function writeAttachments(
  { attachments }: ClientContext,
  place: AttachmentPlace,
  files: readonly FilePart[],
): Promise<{ readonly attachments?: readonly string[] }> {
  if (files.length === 0 || attachments === null) return {};
  const refs: string[] = [];
  for (const file of files) refs.push(await attachments.write(place, file));
  return { attachments: refs };
}

function readAttachment({ data, name, mediaType }: Attachment, index: number): FilePart {
  const field = `attachments.${index}`;
  if (typeof name !== 'string' || !/^[^\p{Cc}\p{Cs}]{1,200}$/u.test(name)) {
    throw new InvalidInput(`${field}.name must be 1 to 200 characters on one line, got ${JSON.stringify(name)}`);
  }
  if (!(data instanceof Uint8Array) || data.length === 0) {
    throw new InvalidInput(`${field}.data must be the bytes of a file, at least one; read the file first`);
  }
  if (data.length > ATTACHMENT_BYTES_MAX) {
    throw new InvalidInput(`${field} (${name}) has ${data.length} bytes, at most ${ATTACHMENT_BYTES_MAX} are taken`);
  }
  const found = detectType(data);
  if (found === null) {
    throw new InvalidInput(
      `${field} (${name}) must be one of ${ATTACHMENT_TYPES.join(', ')}; its bytes are none of them`,
    );
  }
  if (mediaType !== undefined && mediaType !== found) {
    throw new InvalidInput(`${field}.mediaType of ${name} is ${JSON.stringify(mediaType)}, but its bytes are ${found}`);
  }
  return filePart(name, found, data);
}

function filePart(name: string, mediaType: AttachmentType, data: Uint8Array): FilePart {
  const base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
  return { kind: 'file', mediaType, name, bytes: data.length, data: base64 };
}
