/**
 * Names of the fields of a log line, besides pino's own `level`, `time`, `pid` and `msg`. Nowhere else is one made up, so that a search for
 * a run finds every line of it, whoever wrote it.
 */
export const LOG_FIELDS = [
  'run',
  'execution',
  'turn',
  'tenant',
  'agent',
  'release',
  'activity',
  'attempt',
  'queue',
  'component',
  'outcome',
  'cause',
  'disposition',
  'retries',
  'problem',
  'duration_ms',
  'limit',
  'wait_ms',
  'trace_id',
  'span_id',
  'err',
] as const;

export type LogFields = { readonly [Name in (typeof LOG_FIELDS)[number]]?: unknown };

/** What Temporal calls the same things. */
const NAMES_OF_TEMPORAL: Readonly<Record<string, (typeof LOG_FIELDS)[number]>> = {
  workflowId: 'run',
  runId: 'execution',
  workflowRunId: 'execution',
  activityType: 'activity',
  taskQueue: 'queue',
  sdkComponent: 'component',
  durationMs: 'duration_ms',
  error: 'err',
};

const known = new Set<string>(LOG_FIELDS);

/** Gives the fields of a line that Temporal's SDK wrote under our names, and leaves out the rest: what it may hold nobody has looked at. */
export function fieldsOfTemporal(meta: Readonly<Record<string, unknown>>): LogFields {
  return Object.fromEntries(
    Object.entries(meta).flatMap(([name, value]) => {
      const field = NAMES_OF_TEMPORAL[name] ?? name;
      return known.has(field) && value !== undefined ? [[field, value]] : [];
    }),
  );
}
