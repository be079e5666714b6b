import { pino, type Logger } from 'pino';

export type { Logger };

/** Names of fields that never reach a log, wherever they stand. */
const SECRET_FIELDS = ['password', 'apiKey', 'authorization', 'secret', 'token'];

/** Makes the logger of a process: JSON lines on stderr, so that stdout stays for data. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: { pid: process.pid }, redact: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]) },
    pino.destination({ fd: 2, sync: true }),
  );
}
