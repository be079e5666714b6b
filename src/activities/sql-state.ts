import type { Disposition } from '../domain/run/cause.ts';

/** What a SQLSTATE means for a run. */
export type SqlStateVerdict = {
  readonly disposition: Disposition;
  readonly mend?: string;
  /** Its messages name things and quote no values. */
  readonly isQuotable: boolean;
};

const LOG = 'Look into the log of PostgreSQL: it refuses what this release asks of it.';

/**
 * From the most particular to the most general. Only a value or a broken constraint belongs to the statement itself; everything else can be
 * the server's state at the moment (a failover, a pooler, a migration that runs), which must end no run.
 */
const RULES: readonly (readonly [RegExp, SqlStateVerdict])[] = [
  [/^2[23]/, { disposition: 'final', isQuotable: false }],
  [/^(?:08|25|40|53|55|57|58|XX|F0)/, { disposition: 'transient', isQuotable: true }],
  [
    /^(?:28|3D|42501)/,
    {
      disposition: 'mendable',
      mend: 'Check the user, the password and the database in DATABASE_URL.',
      isQuotable: true,
    },
  ],
  [
    /^(?:42|3F)/,
    {
      disposition: 'mendable',
      mend: 'Bring the schema of the database up to date with this release.',
      isQuotable: true,
    },
  ],
  [/^(?:0A|54)/, { disposition: 'mendable', mend: LOG, isQuotable: true }],
];

const UNKNOWN: SqlStateVerdict = { disposition: 'mendable', mend: LOG, isQuotable: false };

/** A row for which there is no partition breaks a check that has no name. */
const NO_PARTITION: SqlStateVerdict = {
  disposition: 'mendable',
  mend: 'Start a worker with the role ops: it makes the partitions of the coming weeks.',
  isQuotable: true,
};

/** Says what a SQLSTATE means. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function classifySqlState(code: string, hasConstraint: boolean): SqlStateVerdict {
  if (code === '23514' && !hasConstraint) return NO_PARTITION;
  return RULES.find(([pattern]) => pattern.test(code))?.[1] ?? UNKNOWN;
}

/** Tells a SQLSTATE from the code of a system call: it has a digit, as EPIPE has not, and begins with no E, as E2BIG does. */
export function isSqlState(code: string): boolean {
  return /^(?=.*\d)(?!E)[0-9A-Z]{5}$/.test(code);
}

/** What `pg` says without a code when a connection breaks, cannot be made, or was broken before. */
const BROKEN_CONNECTION =
  /^(?:connection terminated|timeout exceeded when trying to connect|timeout expired|query read timeout|client has encountered a connection error|client was closed|there was an error establishing an ssl connection)/i;

/** Tells whether a message of `pg` says that the connection is gone. */
export function isBrokenConnection(message: string): boolean {
  return BROKEN_CONNECTION.test(message);
}
