import { z } from 'zod';
import { shortField } from './fields.ts';

const ENDS = ['completed', 'failed', 'cancelled', 'budget-exhausted', 'expired', 'refused', 'lost'] as const;

/** What says which conversation and which message; the rest of a sending is that of a start. */
export const conversationOptionsSchema = z.object({
  conversationId: z
    .string('must be the id of the conversation, a text of 1 to 128 characters')
    .regex(/^[^\p{Cc}\p{Cs}]{1,128}$/u, 'must be the id of the conversation, 1 to 128 characters on one line'),
  key: shortField('the key of the message').refine(
    (key) => !key.startsWith('perdure:'),
    'must not begin with "perdure:": such keys are the run’s own',
  ),
  continueAfter: z.array(
    z.enum(ENDS, `must be one of ${ENDS.join(', ')}`),
    'must be a list of ends, for example ["expired"]',
  ),
});
