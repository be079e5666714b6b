import { userInfo } from 'node:os';
import { buffer } from 'node:stream/consumers';

/** What a command may use of its process. */
export type Cli = {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Writes a line of data to stdout. */
  readonly print: (line: string) => void;
  /** Writes a part of a line to stdout, where that is a terminal; absent where it is not. */
  readonly write?: (text: string) => void;
  /** Writes a line for the person to stderr. */
  readonly say: (line: string) => void;
  readonly readStdin: () => Promise<Buffer>;
  /** The account that runs the command: who acts, where nothing else is said. */
  readonly account: string;
};

/** Uses this process. */
export function processCli(): Cli {
  return {
    env: process.env,
    cwd: process.cwd(),
    print: (line) => void process.stdout.write(`${line}\n`),
    ...(process.stdout.isTTY ? { write: (text: string) => void process.stdout.write(text) } : {}),
    say: (line) => void process.stderr.write(`${line}\n`),
    readStdin: () => buffer(process.stdin),
    account: accountName(process.env),
  };
}

/** An account without a name exists, for example in a container that runs as any number. */
function accountName(env: NodeJS.ProcessEnv): string {
  try {
    return userInfo().username;
  } catch {
    return env['USER'] || 'anonymous';
  }
}
