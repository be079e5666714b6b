import { z } from 'zod';
import { objectField, wholeField } from './fields.ts';

/** Ids of schedules stand in ids of Temporal and in start keys, so they are plain words of at most 64 characters. */
const SCHEDULE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What happens to a time at which the run of an earlier time still goes on. */
export const OVERLAPS = ['skip', 'buffer-one', 'buffer-all', 'allow-all', 'cancel-other'] as const;

export const scheduleIdSchema = z
  .string('must be the id of the schedule')
  .regex(SCHEDULE_ID, 'must be 1 to 64 letters, digits, dots, dashes or underscores');

/** When a schedule starts runs; the rest of it is that of a start. */
export const scheduleTimesSchema = objectField({
  cron: z.array(z.string().min(1).max(200), 'must be a list of cron expressions').max(50).optional(),
  everyMs: wholeField(1_000, 'must be whole milliseconds, at least 1000').optional(),
  timeZone: z
    .string('must be a time zone')
    .refine(isTimeZone, 'must be an IANA time zone, for example "Europe/Lisbon"'),
  overlap: z.enum(OVERLAPS, `must be one of ${OVERLAPS.join(', ')}`),
  catchUpMs: wholeField(10_000, 'must be whole milliseconds, at least 10000'),
  isPaused: z.boolean('must be true or false'),
}).refine(
  ({ cron, everyMs }) => (cron?.length ?? 0) > 0 !== (everyMs !== undefined),
  'must have either cron or everyMs',
);

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) instanceof Intl.DateTimeFormat;
  } catch {
    return false;
  }
}
