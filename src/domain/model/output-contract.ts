import type { JsonObject, JsonValue } from '../json.ts';

/** What every final answer of an agent must be: one JSON value that fits this JSON schema. */
export type OutputContract = { readonly schema: JsonObject };

/** Adds to an agent's instructions what its answers must be. Every model reads it, whatever its provider can enforce. */
export function withOutputContract(instructions: string, output: OutputContract | undefined): string {
  if (output === undefined) return instructions;
  return `${instructions}\n\nYour final answer must be exactly one JSON value that fits the following JSON schema, with nothing before or after it:\n${JSON.stringify(output.schema)}`;
}

/** Tells the model what was wrong with its answer. */
export function repairGuidance(misfit: string): string {
  return `Your answer does not fit the JSON schema that it must fit: ${misfit} Answer again with the whole JSON value and nothing else.`;
}

/** Places that a problem names: whoever mends these has seen the pattern. */
const ISSUES_MAX = 8;

/** Characters of a place in a value; keys may be of any length. */
const PATH_LENGTH_MAX = 80;

/** What a schema says of a value that does not fit it. */
type Issue = { readonly path: readonly PropertyKey[]; readonly message: string };

/** Names the places and what was expected there. The words are the schema's, not the model's. */
export function describeMisfit(issues: readonly Issue[]): string {
  const shown = issues.slice(0, ISSUES_MAX).map(({ path, message }) => `${placeOf(path)}: ${message}.`);
  return [...shown, ...(issues.length > ISSUES_MAX ? [`And ${issues.length - ISSUES_MAX} more.`] : [])].join(' ');
}

function placeOf(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text === '' ? 'the value' : text.replace(/^\./, '').slice(0, PATH_LENGTH_MAX);
}

/** A fence of Markdown around a block; models put it around JSON however they are asked not to. */
const FENCE = /```[a-z\d]*[ \t]*\r?\n?([\s\S]*?)```/gi;

/** The same from the first fence to the last: what is between may have fences in its strings. */
const WIDEST_FENCE = /```[a-z\d]*[ \t]*\r?\n?([\s\S]*)```/i;

export type ReadAnswer =
  | { readonly kind: 'ok'; readonly value: JsonValue }
  | { readonly kind: 'invalid' }
  /** A number would become another one: `key` is where it stands. */
  | { readonly kind: 'inexact'; readonly key: string };

/** Reads the JSON value of an answer: the whole text, or the only fenced block in it. */
export function readJsonAnswer(text: string): ReadAnswer {
  const whole = parse(text.trim());
  if (whole.kind !== 'invalid') return whole;
  const blocks = [...text.matchAll(FENCE)];
  const only = blocks.length === 1 ? parse(blocks[0]?.[1] ?? '') : whole;
  return only.kind === 'invalid' ? parse(WIDEST_FENCE.exec(text)?.[1] ?? '') : only;
}

type Reviver = (key: string, value: unknown) => unknown;

function parse(text: string): ReadAnswer {
  let inexact: string | null = null;
  const revive = (key: string, value: unknown, { source = '' }: { readonly source?: string }): unknown => {
    if (typeof value === 'number' && !isExact(value, source)) inexact ??= key;
    return value;
  };
  try {
    const value = JSON.parse(text, revive as Reviver) as JsonValue;
    return inexact === null ? { kind: 'ok', value } : { kind: 'inexact', key: inexact };
  } catch {
    return { kind: 'invalid' };
  }
}

/** A whole number of too many digits is read as another one, such as the number of another account; one that is too large as none. */
function isExact(value: number, source: string): boolean {
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value);
  return Number.isFinite(value);
}
