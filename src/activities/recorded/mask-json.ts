import { createHash } from 'node:crypto';
import type { JsonValue } from '../../domain/json.ts';
import { type Masker, SECRET_MEMBER } from './masker.ts';

/** Base64 above this length is kept as its hash wherever it stands, so that a recording does not hold every file once a turn. */
const DATA_LENGTH_MIN = 1_024;

/** Members that hold files: also a small one says what no pattern finds in base64. */
const FILE_MEMBER = /^(?:data|bytes|file_data)$/;

/** Characters below which such a member is no file, but a word. */
const FILE_LENGTH_MIN = 16;

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
      maskMember(name, member, masker),
    ]),
  );
}

function maskMember(name: string, member: JsonValue, masker: Masker): JsonValue {
  const secret = secretIn(name, member);
  if (secret !== null) return masker.maskWhole('key', secret);
  if (typeof member === 'string' && FILE_MEMBER.test(name) && member.length >= FILE_LENGTH_MIN && BASE64.test(member)) {
    return digestOf(member);
  }
  return maskRequest(member, masker);
}

/** Gives the secret that a member is, by its name. Null for one that is none, also for what is empty, or says yes or no. */
export function secretIn(name: string, member: JsonValue): string | null {
  const text = typeof member === 'number' ? String(member) : member;
  return typeof text === 'string' && text !== '' && SECRET_MEMBER.test(name) ? text : null;
}

function isData(text: string): boolean {
  return (text.length >= DATA_LENGTH_MIN || text.startsWith('data:')) && BASE64.test(text);
}

function digestOf(text: string): string {
  return `[data of ${text.length} characters, sha256 ${createHash('sha256').update(text).digest('hex')}]`;
}
