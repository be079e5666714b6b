import { parse } from '../domain/schemas/parse.ts';
import { textProblem } from '../domain/text-problem.ts';
import { InvalidInput } from './errors.ts';

/** A text, or its bytes in UTF-8: what a file or a request body holds. */
export type TextInput = string | Uint8Array;

/**
 * Reads a text that the run will hear.
 *
 * @throws InvalidInput when it is empty, too large, not Unicode or has control characters.
 */
export function readText(field: string, input: TextInput): string {
  const text = input instanceof Uint8Array ? decode(field, input) : input;
  const problem = textProblem(field, text);
  if (problem !== null) throw new InvalidInput(problem);
  return text;
}

/**
 * Parses what a caller passed.
 *
 * @throws InvalidInput with the problem in words.
 */
export function readShape<Schema extends Parameters<typeof parse>[0]>(schema: Schema, value: unknown) {
  const parsed = parse(schema, value);
  if (parsed.kind === 'ok') return parsed.value;
  throw new InvalidInput(parsed.problem);
}

function decode(field: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InvalidInput(`${field} is not valid UTF-8; write the file in UTF-8 and send it again`);
  }
}
