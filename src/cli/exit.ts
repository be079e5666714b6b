/** Exit codes of every command, so that scripts can tell what happened. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  gate: 3,
  notFound: 4,
  conflict: 5,
  denied: 6,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command cannot do what was asked. The message says why and what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
