import { createHash } from 'node:crypto';
import type { JsonValue } from '../../domain/json.ts';
import { type Masker, SECRET_MEMBER } from './masker.ts';

/** Files go into a request as base64; above this length such a text is kept as its hash, so that a recording does not hold every file once a turn. */
const DATA_LENGTH_MIN = 1_024;

const BASE64 = /^(?:data:[\w/+.;=-]+,)?[A-Za-z\d+/_-]+={0,2}$/;

/** Masks the texts, names and long numbers of a request's body, in the order in which they stand there. */
export function maskRequest(value: JsonValue, masker: Masker): JsonValue {
  if (typeof value === 'string') return isData(value) ? digestOf(value) : masker.mask(value);
  if (typeof value === 'number') {
    const text = String(value);
    const masked = masker.mask(text);
    return masked === text ? value : masked;
  }
  if (Array.isArray(value)) return value.map((item: JsonValue) => maskRequest(item, masker));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, JsonValue]) => [
      masker.mask(name),
      typeof member === 'string' && SECRET_MEMBER.test(name)
        ? masker.maskWhole('key', member)
        : maskRequest(member, masker),
    ]),
  );
}

function isData(text: string): boolean {
  return text.length >= DATA_LENGTH_MIN && BASE64.test(text);
}

function digestOf(text: string): string {
  return `[data of ${text.length} characters, sha256 ${createHash('sha256').update(text).digest('hex')}]`;
}
