import { pino, type Logger } from 'pino';

export type { Logger };

/** Names of fields that never reach a log, wherever they stand. */
const SECRET_FIELDS = ['password', 'apiKey', 'authorization', 'secret', 'token'];

/** Makes the logger of a process: JSON lines on stderr, so that stdout stays for data. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      // A line that comes late brings the time at which it was written.
      timestamp: false,
      mixin: () => ({ time: Date.now() }),
      redact: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]),
      serializers: { err: describeError },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** Keeps of an error what says where it happened. Other fields of it may hold what was said: a row, a request, a reply. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack } = error;
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return { type: name, message, ...code, ...(frames === undefined ? {} : { stack: frames.join('\n') }) };
}
