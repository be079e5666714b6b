import { z } from 'zod';
import type { RunKind } from '../run/start.ts';
import { amountFields, objectField, patternField, shortField, wholeField } from './fields.ts';

/** Tenants appear in ids, search attributes and keys, so they are plain words of at most 64 characters. */
export const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const AGENT_NAME = /^[a-z][a-z0-9-]{0,47}$/;

const RUN_KINDS = ['single', 'conversation'] as const satisfies readonly RunKind[];

/** What a client sends to start a run, with every default filled in. The input's text is checked by the core's own rules. */
export const startOptionsSchema = objectField({
  agent: patternField(AGENT_NAME, 'must be the name of an agent in kebab-case, for example "support"'),
  input: z.string('must be a text'),
  tenant: patternField(TENANT, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
  subject: shortField('whom the run is about').optional(),
  principal: shortField('who starts the run'),
  startKey: shortField('the key under which this run is started once'),
  kind: z.enum(RUN_KINDS, 'must be "single" or "conversation"'),
  limits: objectField(amountFields()).optional(),
  deadlineMs: wholeField(1_000, 'must be whole milliseconds from now, at least 1000'),
  tier: z.enum(['small', 'standard', 'strong'], 'must be "small", "standard" or "strong"').optional(),
  whenExhausted: z.enum(['wait', 'end'], 'must be "wait" or "end"'),
});
