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

/** A fence of Markdown around a block; models put it around JSON however they are asked not to. */
const FENCE = /```[a-z]*[ \t]*\r?\n?([\s\S]*?)```/gi;

/** Reads the JSON value of an answer: the whole text, or the only fenced block in it. */
export function readJsonAnswer(
  text: string,
): { readonly kind: 'ok'; readonly value: JsonValue } | { readonly kind: 'invalid' } {
  const whole = parse(text);
  if (whole.kind === 'ok') return whole;
  const blocks = [...text.matchAll(FENCE)];
  return blocks.length === 1 ? parse(blocks[0]?.[1] ?? '') : whole;
}

function parse(text: string) {
  try {
    return { kind: 'ok', value: JSON.parse(text) as JsonValue } as const;
  } catch {
    return { kind: 'invalid' } as const;
  }
}
