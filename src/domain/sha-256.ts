import { canonicalJson } from './json.ts';

const ROUND_CONSTANTS = roundConstants();
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Length of every address, hash and id that enters history: 132 bits, short enough to repeat on each turn. */
const SHORT_HASH_LENGTH = 22;

/**
 * Hashes a text with SHA-256. It is written here because workflow code needs it and has no crypto: the same function
 * then serves everywhere, and a test holds it against the platform's.
 *
 * @returns 32 bytes.
 * @see FIPS 180-4
 */
export function sha256(text: string): Uint8Array {
  const words = paddedWords(new TextEncoder().encode(text));
  const state = new Uint32Array([
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  ]);
  const schedule = new Uint32Array(64);
  for (let block = 0; block < words.length; block += 16) compress(state, schedule, words.subarray(block, block + 16));
  const digest = new Uint8Array(32);
  const view = new DataView(digest.buffer);
  state.forEach((word, index) => view.setUint32(index * 4, word));
  return digest;
}

/** Hashes the canonical JSON of a value: 22 characters of base64url, 132 bits of SHA-256. */
export function contentHash(value: unknown): string {
  return base64url(sha256(canonicalJson(value))).slice(0, SHORT_HASH_LENGTH);
}

/** Hashes a list of texts into an id that may stand on a command line: 22 characters of base62 (ADR 0002). */
export function hashId(...texts: readonly string[]): string {
  let number = 0n;
  for (const byte of sha256(canonicalJson(texts)).subarray(0, 20)) number = (number << 8n) | BigInt(byte);
  let id = '';
  while (id.length < SHORT_HASH_LENGTH) {
    id = BASE62.charAt(Number(number % 62n)) + id;
    number /= 62n;
  }
  return id;
}

/** Writes bytes as base64url without padding. */
export function base64url(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(index, index + 3);
    const chunk =
      BASE64URL.charAt(a >> 2) +
      BASE64URL.charAt(((a & 3) << 4) | (b >> 4)) +
      BASE64URL.charAt(((b & 15) << 2) | (c >> 6)) +
      BASE64URL.charAt(c & 63);
    text += chunk.slice(0, Math.min(4, bytes.length - index + 1));
  }
  return text;
}

function roundConstants(): Uint32Array {
  const constants = new Uint32Array(64);
  let count = 0;
  for (let candidate = 2; count < 64; candidate += 1) {
    let isPrime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor += 1) if (candidate % divisor === 0) isPrime = false;
    if (!isPrime) continue;
    constants[count] = Math.floor((Math.cbrt(candidate) % 1) * 2 ** 32);
    count += 1;
  }
  return constants;
}

function paddedWords(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(Math.ceil((bytes.length + 9) / 64) * 16);
  bytes.forEach((byte, index) => (words[index >> 2]! |= byte << (24 - (index % 4) * 8)));
  words[bytes.length >> 2]! |= 0x80 << (24 - (bytes.length % 4) * 8);
  words[words.length - 2] = Math.floor((bytes.length * 8) / 2 ** 32);
  words[words.length - 1] = bytes.length * 8;
  return words;
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

function compress(state: Uint32Array, schedule: Uint32Array, block: Uint32Array): void {
  schedule.set(block);
  for (let i = 16; i < 64; i += 1) {
    const [w15, w2] = [schedule[i - 15]!, schedule[i - 2]!];
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3);
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10);
    schedule[i] = schedule[i - 16]! + s0 + schedule[i - 7]! + s1;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i += 1) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[i]! + schedule[i]!) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index]! += word));
}
