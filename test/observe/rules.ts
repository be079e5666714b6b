import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { CollectedSpan } from '../support/collector.ts';

const folder = join(process.env['PERDURE_CASES'] ?? '../shared/cases', 'otel');

/** Tells whether the cases are there. They are third-party, so a test that needs them may be skipped. */
export const hasRules = existsSync(folder);

const names = z.array(z.string()).default([]);
const rulesSchema = z.object({
  spans: z.record(
    z.string(),
    z.object({
      kind: z.string(),
      required: names,
      conditionally_required: names,
      recommended: names,
      opt_in: names,
    }),
  ),
});

export type Rules = z.infer<typeof rulesSchema>;

/** Reads the rules of the gen_ai conventions, generated from their version 1.41.0. */
export function readRules(): Rules {
  return rulesSchema.parse(JSON.parse(readFileSync(join(folder, 'rules.json'), 'utf8')));
}

/** Which rule a span of ours follows, by its operation. */
const RULE_OF: Readonly<Record<string, string>> = {
  chat: 'span.gen_ai.inference.client',
  execute_tool: 'span.gen_ai.execute_tool.internal',
  invoke_agent: 'span.gen_ai.invoke_agent.internal',
};

/** Tells what the conventions miss in a span; nothing for spans that are not theirs. */
export function problemsOf({ spans }: Rules, { name, kind, attributes, isError }: CollectedSpan): readonly string[] {
  const operation = attributes['gen_ai.operation.name'];
  if (operation === undefined) return [];
  const rule = spans[RULE_OF[String(operation)] ?? ''];
  if (rule === undefined) return [`${name}: no rule for ${String(operation)}`];
  const missing = [...rule.required, ...(isError ? ['error.type'] : [])].filter(
    (required) => attributes[required] === undefined,
  );
  const allowed = new Set([...rule.required, ...rule.conditionally_required, ...rule.recommended, ...rule.opt_in]);
  const foreign = Object.keys(attributes).filter((key) => key.startsWith('gen_ai.') && !allowed.has(key));
  return [
    ...(rule.kind === kind ? [] : [`${name}: kind ${kind}, not ${rule.kind}`]),
    ...missing.map((key) => `${name}: lacks ${key}`),
    ...foreign.map((key) => `${name}: may not have ${key}`),
  ];
}

/** Reads the conventions' JSON schema of an attribute that holds words, as `input.messages`. */
export function contentSchema(name: string): z.ZodType {
  const file = `gen-ai-${name.replaceAll(/[._]/g, '-')}.json`;
  return z.fromJSONSchema(JSON.parse(readFileSync(join(folder, file), 'utf8')) as z.core.JSONSchema.JSONSchema);
}
