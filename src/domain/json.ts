/** A value that survives JSON unchanged. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

export type JsonObject = { readonly [key: string]: JsonValue };

/**
 * Writes a value in the JSON Canonicalization Scheme, so that equal values have equal bytes.
 * Keys are sorted by UTF-16 code units; numbers and strings are written as ECMAScript does. Members that are
 * undefined are left out, as JSON.stringify does.
 *
 * @throws TypeError for a number that JSON cannot hold.
 * @see RFC 8785
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`JSON cannot hold ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`JSON cannot hold a ${typeof value}`);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/** Tells whether a value has more levels than so many; one that holds no other has none. No value is too deep to be looked at. */
export function isDeeperThan(value: unknown, levelsMax: number): boolean {
  let level: readonly unknown[] = [value];
  for (let levels = 0; level.length > 0; levels += 1) {
    if (levels > levelsMax) return true;
    level = level.flatMap((each) => (each !== null && typeof each === 'object' ? Object.values(each) : []));
  }
  return false;
}

/** Counts the UTF-8 bytes of a text, without an encoder: workflow code runs this too. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) {
      bytes += 4;
      index += 1;
    } else bytes += 3;
  }
  return bytes;
}

/** Cuts a text to at most `lengthMax` characters and marks the cut with an ellipsis; never splits a surrogate pair. */
export function truncate(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const cut = (text.charCodeAt(lengthMax - 2) & 0xfc00) === 0xd800 ? lengthMax - 2 : lengthMax - 1;
  return `${text.slice(0, cut)}…`;
}
