import { z } from 'zod';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { describeMisfit, type OutputContract } from '../domain/model/output-contract.ts';

/** What an agent's final answers must be: the JSON schema that models read, and the schema that checks them. */
export type AgentOutput = OutputContract & {
  /** Checks a value and gives what it stands for as JSON. Never throws. */
  readonly parse: (value: JsonValue) => CheckedOutput;
};

export type CheckedOutput =
  { readonly kind: 'ok'; readonly value: JsonValue } | { readonly kind: 'invalid'; readonly problem: string };

/**
 * Describes the output schema of an agent.
 *
 * @throws TypeError when the schema has no JSON schema; the message says what to change.
 */
export function describeOutput(schema: z.ZodType): AgentOutput {
  return { schema: toJsonSchema(schema), parse: (value) => checkOutput(schema, value) };
}

/** Checks a value against a schema. What a schema's own functions throw is a problem of the value: the reply was paid for. */
function checkOutput(schema: z.ZodType, value: JsonValue): CheckedOutput {
  try {
    const parsed = schema.safeParse(value);
    if (!parsed.success) return { kind: 'invalid', problem: describeMisfit(parsed.error.issues) };
    return { kind: 'ok', value: JSON.parse(JSON.stringify(parsed.data ?? null)) as JsonValue };
  } catch (error) {
    return { kind: 'invalid', problem: `it could not be checked (${error instanceof Error ? error.name : 'error'}).` };
  }
}

function toJsonSchema(schema: z.ZodType): JsonObject {
  try {
    return JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io: 'input' }))) as JsonObject;
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown reason';
    throw new TypeError(
      `output has no JSON schema (${why}): use types that JSON has, such as z.iso.datetime() in place of z.date()`,
      { cause: error },
    );
  }
}
