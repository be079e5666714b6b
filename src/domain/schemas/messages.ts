import { z } from 'zod';
import type { JsonValue } from '../json.ts';
import { amountFields, objectField, shortField } from './fields.ts';

const jsonValue: z.ZodType<JsonValue> = z.json('must be a JSON value');

const text = z.string('must be a text');

/** What a person decides about a call. The texts are checked by the core's own rules. */
export const approvalDecisionSchema = z.discriminatedUnion(
  'kind',
  [
    objectField({ kind: z.literal('approve') }),
    objectField({ kind: z.literal('edit'), arguments: jsonValue }),
    objectField({ kind: z.literal('reject'), reason: text }),
    objectField({ kind: z.literal('respond'), text }),
  ],
  'must be { kind: "approve" }, { kind: "edit", arguments }, { kind: "reject", reason } or { kind: "respond", text }',
);

/** The result of a deferred tool call. Its output is held against the tool's schema by the run. */
export const deferredResultSchema = z.union(
  [objectField({ output: jsonValue }), objectField({ error: text })],
  'must be { output } with JSON, or { error } with a text',
);

/** Amounts to add to a run's limits; at least one. */
export const topUpSchema = objectField(amountFields()).refine(
  (topUp) => Object.values(topUp).some((value) => value !== undefined),
  'must name at least one amount: costPico, tokens, turns, toolCalls or activeMs',
);

/** What every message carries: the caller's id, which makes sending twice safe, and who sends it. */
export const envelopeSchema = z.object({
  id: shortField('the key of the message').refine(
    (id) => !id.startsWith('perdure:'),
    'must not begin with "perdure:": such keys are the run’s own',
  ),
  principal: shortField('who sends the message'),
});
