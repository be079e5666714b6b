import { truncate } from '../../domain/json.ts';

/** What a failure's message may weigh: it is written into histories and lists. */
const MESSAGE_LENGTH_MAX = 300;

/** Characters of one comparison. Every repetition of 24 characters or more is found: it holds one whole window. */
const ECHO_LENGTH = 16;

/** How keys and tokens look, most specific first. */
const SECRETS: readonly RegExp[] = [
  /\b(?:bearer|basic)\s+[\w~+/.=-]{6,}/gi,
  /\b(?:sk|pk|rk|xai|gsk|key|ghp|gho|hf|r8|nvapi)[-_][\w*.-]{4,}/gi,
  /\bAIza[\w*-]{8,}/g,
  /\bAKIA[A-Z0-9]{8,}/g,
  /\beyJ[\w-]+\.[\w.-]+/g,
  /(?<=:\/\/)[^\s/@]+@/g,
  /(?<=\b(?:api[-_ ]?key|token|password|secret)["']?\s*[=:]\s*["']?)[^\s"',;]{4,}/gi,
  /\b[\w*-]{40,}/g,
];

/** Makes a message that may be kept: one line of well-formed text, without secrets, at most 300 characters. */
export function safeMessage(message: string): string {
  return truncate(redact(folded(message).toWellFormed()), MESSAGE_LENGTH_MAX);
}

function folded(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
}

/** Replaces what looks like a key or a token. */
function redact(text: string): string {
  return SECRETS.reduce((clean, secret) => clean.replaceAll(secret, '[redacted]'), text);
}

/** What a message puts in quotation marks. */
const QUOTED = /(['"`])(.{4,60}?)\1/g;

/** Words of protocols, such as `image_url`, which a request has, too. */
const PROTOCOL_WORD = /^[a-z_]+$/;

/** Tells whether a provider's message repeats words of the request: some validators quote the input that they refuse. */
export function echoes(message: string, asked: unknown): boolean {
  // As much as a message can keep, with its blanks folded as they will be.
  const text = folded(message).slice(0, 2 * MESSAGE_LENGTH_MAX);
  const words = wordsOf(asked).map(folded);
  const quoted = [...text.matchAll(QUOTED)].flatMap(([, , inside = '']) =>
    PROTOCOL_WORD.test(inside) ? [] : [inside],
  );
  if (quoted.some((inside) => words.some((spoken) => spoken.includes(inside)))) return true;
  for (let start = 0; start + ECHO_LENGTH <= text.length; start += ECHO_LENGTH / 2) {
    const window = text.slice(start, start + ECHO_LENGTH);
    if (words.some((spoken) => spoken.includes(window))) return true;
  }
  return false;
}

/** Collects the texts of a request, except those of tool descriptions and settings: only the conversation is private. */
function wordsOf(asked: unknown): string[] {
  if (typeof asked === 'string') return [asked];
  if (typeof asked !== 'object' || asked === null) return [];
  const conversation: unknown = 'messages' in asked ? asked.messages : asked;
  if (conversation !== asked) return wordsOf(conversation);
  return Object.values(asked).flatMap(wordsOf);
}
