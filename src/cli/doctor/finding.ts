/** `warn`: it works, but not as it should in the end. `fail`: something that was asked for cannot work. */
export type FindingStatus = 'ok' | 'warn' | 'fail';

/** What was found out about one thing. */
export type Finding = {
  readonly subject: string;
  readonly status: FindingStatus;
  readonly message: string;
  /** What to do; null where nothing is to be done. */
  readonly mend: string | null;
};

export function ok(subject: string, message: string): Finding {
  return { subject, status: 'ok', message, mend: null };
}

export function warn(subject: string, message: string, mend: string): Finding {
  return { subject, status: 'warn', message, mend };
}

export function fail(subject: string, message: string, mend: string): Finding {
  return { subject, status: 'fail', message, mend };
}
