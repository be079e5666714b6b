import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { readStackState, type StackState } from '../../src/cli/dev-stack/stack-state.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** The program's `dev` in a process of its own. */
export type DevProcess = {
  readonly ended: Promise<{ readonly exitCode: number | null; readonly out: string; readonly said: string }>;
  /** What it wrote to stderr so far. */
  readonly said: () => string;
  readonly isAlive: () => boolean;
  /** Presses Ctrl-C. */
  readonly interrupt: () => void;
};

/** Starts the program's `dev` in a folder, with the agents of this repository and nothing else of the environment. */
export function startDev(cwd: string, ...parameters: readonly string[]): DevProcess {
  const { PATH, HOME, XDG_CACHE_HOME, PERDURE_CACHE, PERDURE_TEMPORAL_CLI } = process.env;
  const kept = { PATH, HOME, XDG_CACHE_HOME, PERDURE_CACHE, PERDURE_TEMPORAL_CLI };
  const agents = { PERDURE_AGENTS_DIR: join(process.cwd(), 'agents'), TEMPORAL_CONFIG_FILE: join(cwd, 'none.toml') };
  const child = spawn(process.execPath, [main, 'dev', ...parameters], { cwd, env: { ...kept, ...agents } });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  const out = text(child.stdout);
  const ended = once(child, 'close').then(async ([exitCode]) => ({
    exitCode: exitCode as number | null,
    out: await out,
    said,
  }));
  return {
    ended,
    said: () => said,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    interrupt: () => child.kill('SIGINT'),
  };
}

/** Reads which servers run for a folder. */
export function stateOf(cwd: string): StackState {
  return readStackState(join(cwd, '.data', 'dev-stack.json'));
}
