import { canonicalJson, type JsonValue } from '../../domain/json.ts';

/** Where two requests differ first. */
export type Difference = {
  readonly path: string;
  readonly recorded: JsonValue | undefined;
  readonly asked: JsonValue | undefined;
};

/** Finds the first place, in the order of the recorded one, at which two values differ. Null where they are equal. */
export function firstDifference(
  recorded: JsonValue | undefined,
  asked: JsonValue | undefined,
  path = '',
): Difference | null {
  if (recorded === asked) return null;
  if (Array.isArray(recorded) && Array.isArray(asked)) {
    for (let index = 0; index < Math.max(recorded.length, asked.length); index += 1) {
      const found = firstDifference(recorded[index] as JsonValue, asked[index] as JsonValue, `${path}[${index}]`);
      if (found !== null) return found;
    }
    return null;
  }
  if (isObject(recorded) && isObject(asked)) {
    for (const name of new Set([...Object.keys(recorded), ...Object.keys(asked)])) {
      const found = firstDifference(recorded[name], asked[name], path === '' ? name : `${path}.${name}`);
      if (found !== null) return found;
    }
    return null;
  }
  return { path, recorded, asked };
}

/** Members of a request whose words are a person's, or an agent's own: a failure names the place and not the words. */
const PRIVATE = /^(?:contents|input|instructions|messages|parts|prompt|system|systemInstruction)\b/;

/** Characters of a value that a failure repeats. */
const SHOWN_LENGTH_MAX = 60;

/** Says in a failure how two requests differ. */
export function describeDifference({ path, recorded, asked }: Difference): string {
  const [what = ''] = path.split(/[.[]/);
  if (PRIVATE.test(path)) return `${what} differ at ${path}${placeOf(recorded, asked)}`;
  return `${what} differ at ${path}: recorded ${shown(recorded)}, asked ${shown(asked)}`;
}

/** Says the same to whoever runs the test, with the words. */
export function quoteDifference({ path, recorded, asked }: Difference): string {
  return `${path}: recorded ${canonicalOf(recorded)}, asked ${canonicalOf(asked)}`;
}

function placeOf(recorded: JsonValue | undefined, asked: JsonValue | undefined): string {
  if (asked === undefined) return ': recorded, and not asked now';
  if (recorded === undefined) return ': asked now, and not recorded';
  if (typeof recorded !== 'string' || typeof asked !== 'string') return '';
  let same = 0;
  while (same < recorded.length && recorded[same] === asked[same]) same += 1;
  return `, from character ${same}`;
}

function shown(value: JsonValue | undefined): string {
  const text = canonicalOf(value);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

function canonicalOf(value: JsonValue | undefined): string {
  return value === undefined ? 'nothing' : canonicalJson(value);
}

function isObject(value: unknown): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
