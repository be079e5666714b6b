import type { z } from 'zod';

export type Parsed<Value> =
  { readonly kind: 'ok'; readonly value: Value } | { readonly kind: 'problem'; readonly problem: string };

/** Longest piece of what came that a problem repeats, in characters. */
const SHOWN_MAX = 60;

/** Parses a value from outside. A problem names the member, what was expected and what came. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): Parsed<z.infer<Schema>> {
  const result = schema.safeParse(value);
  if (result.success) return { kind: 'ok', value: result.data };
  const [issue] = result.error.issues;
  if (issue === undefined) return { kind: 'problem', problem: 'is not valid' };
  const came = issue.path.reduce<unknown>((whole, key) => (whole as Record<PropertyKey, unknown> | null)?.[key], value);
  const path = issue.path.join('.') || 'it';
  return { kind: 'problem', problem: `${path} ${issue.message}, got ${describe(came)}` };
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') return `a ${typeof value}`;
  const text = JSON.stringify(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
