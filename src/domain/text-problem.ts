import { utf8Bytes } from './json.ts';
import { LIMITS } from './run/limits.ts';

/** Everything below U+0020 but tab, line feed and carriage return, and U+007F: no person types these and logs choke on them. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL_CHARACTER = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/**
 * Says why a text cannot be an input, or null when it can: wrong type, empty, too large, not well-formed Unicode, or with control
 * characters. The message says what was expected, what came and what to do.
 */
export function textProblem(field: string, text: unknown): string | null {
  if (typeof text !== 'string') return `${field} must be a text, got ${text === null ? 'null' : typeof text}`;
  if (text.trim() === '') return `${field} must not be empty`;
  const bytes = utf8Bytes(text);
  if (bytes > LIMITS.inputBytesMax) {
    return `${field} has ${bytes} bytes, at most ${LIMITS.inputBytesMax} are taken; shorten it or give the agent a tool that reads it`;
  }
  if (!text.isWellFormed())
    return `${field} is not valid Unicode (broken UTF-8 or a lone surrogate); encode it as UTF-8`;
  const position = text.search(CONTROL_CHARACTER);
  if (position === -1) return null;
  const code = text.charCodeAt(position).toString(16).padStart(4, '0').toUpperCase();
  return `${field} has the control character U+${code} at position ${position}; remove it`;
}
