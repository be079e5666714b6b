import type { MessagePart } from './message-part.ts';

/** Kinds of files that models read. */
export const ATTACHMENT_KINDS = ['image', 'pdf'] as const;

export type AttachmentKind = (typeof ATTACHMENT_KINDS)[number];

/** Media types that are taken: those that every provider with image or document input reads. */
export const ATTACHMENT_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'application/pdf'] as const;

export type AttachmentType = (typeof ATTACHMENT_TYPES)[number];

export type FilePart = MessagePart & { readonly kind: 'file' };

/** Bytes of one file: what the strictest of the large providers takes. */
export const ATTACHMENT_BYTES_MAX = 10 * 1024 * 1024;

/** Bytes of the files of one message, and of all that a model is sent at once: in base64 and with the words below providers' 32 MB. */
export const ATTACHMENTS_BYTES_MAX = 20 * 1024 * 1024;

/** Tokens of one image at most. Providers cut images into tiles; the dearest count of those in use comes to 48,169. */
const IMAGE_TOKENS_MAX = 50_000;

/** Tokens of one document at most: 100 pages, the most that providers take, each as an image of 1,600 tokens with 3,400 tokens of text. */
const DOCUMENT_TOKENS_MAX = 500_000;

/** Tells what kind of file a media type is. */
export function attachmentKind(mediaType: AttachmentType): AttachmentKind {
  return mediaType === 'application/pdf' ? 'pdf' : 'image';
}

/** Finds the media type of a file by its first bytes; null when it is none that is taken. */
export function detectType(bytes: Uint8Array): AttachmentType | null {
  const begins = (text: string, at = 0): boolean =>
    bytes.length >= at + text.length &&
    Array.from(text, (letter) => letter.charCodeAt(0)).every((byte, index) => bytes[at + index] === byte);
  if (begins('\u0089PNG\r\n\u001a\n')) return 'image/png';
  if (begins('\u00ff\u00d8\u00ff')) return 'image/jpeg';
  if (begins('GIF87a') || begins('GIF89a')) return 'image/gif';
  if (begins('RIFF') && begins('WEBP', 8)) return 'image/webp';
  return begins('%PDF-') ? 'application/pdf' : null;
}

/** Bounds the tokens that the files of a prompt can cost. Their bytes do not: a small image can be many tokens, a large one few. */
export function fileTokens(parts: readonly MessagePart[]): number {
  return filesOf(parts).reduce(
    (tokens, { mediaType }) => tokens + (attachmentKind(mediaType) === 'pdf' ? DOCUMENT_TOKENS_MAX : IMAGE_TOKENS_MAX),
    0,
  );
}

/** Sums the bytes of the files of a prompt. */
export function fileBytes(parts: readonly MessagePart[]): number {
  return filesOf(parts).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Leaves out what a file holds: its name, type and size stay. */
export function withoutData(part: MessagePart): MessagePart {
  return part.kind === 'file' ? { ...part, data: '' } : part;
}

function filesOf(parts: readonly MessagePart[]): readonly FilePart[] {
  return parts.filter((part) => part.kind === 'file');
}
