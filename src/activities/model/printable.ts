import { canonicalJson, type JsonValue, truncate } from '../../domain/json.ts';

/** Cuts a text of a model for rows, histories and lists: well-formed, without control characters but tab and line ends. */
export function printable(text: string, lengthMax: number): string {
  return truncate(text.replaceAll(/(?![\t\n\r])\p{Cc}/gu, ' ').toWellFormed(), lengthMax);
}

/** Tells whether PostgreSQL can take a value apart as JSON: it refuses U+0000 and lone surrogates anywhere in it. */
export function isStorable(value: JsonValue): boolean {
  // Canonical JSON escapes exactly these as \u0000 and \udXXX; a backslash of the text itself is doubled.
  return !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(canonicalJson(value));
}
