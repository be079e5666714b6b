import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { identifyProcess } from '../../../src/cli/dev-stack/process-identity.ts';
import type { FailpointName } from '../../../src/domain/failpoint.ts';
import { endWithTests } from '../servers.ts';
import { until } from './until.ts';

/** A worker in a process of its own, to be killed, frozen and woken. */
export type WorkerProcess = {
  /** Resolves when it has said that it is ready, with the time in milliseconds since the epoch. */
  readonly ready: Promise<number>;
  /** What it wrote. */
  readonly output: () => string;
  readonly isAlive: () => boolean;
  /** Resolves with the signal or code that ended it. */
  readonly ended: Promise<NodeJS.Signals | number | null>;
  readonly kill: () => Promise<void>;
  readonly stop: () => void;
  readonly wake: () => void;
  /** Asks it to end, as a deploy does. */
  readonly terminate: () => Promise<void>;
  /** Waits until a failpoint has held so many. */
  readonly reached: (name: FailpointName, count?: number) => Promise<void>;
  /** Waits until the process has frozen itself. */
  readonly frozen: () => Promise<void>;
  /** Lets those go on who wait at a failpoint. */
  readonly release: (name: FailpointName) => void;
};

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Variables of this process that a worker keeps: nothing that could name a server, a model or a key. */
const KEPT = ['PATH', 'HOME', 'TMPDIR', 'LANG'];

/** Starts a worker process with an environment of its own. `source` is another build: a folder with a `src` like that of this repository. */
export function startWorkerProcess(
  folder: string,
  env: Readonly<Record<string, string>>,
  source: string = root,
): WorkerProcess {
  const failpoints = mkdtempSync(join(folder, 'failpoints-'));
  const kept = Object.fromEntries(
    KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(source, 'src/workers/main.ts')],
    {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...kept, PERDURE_FAILPOINT_DIR: failpoints, ...env },
    },
  );
  const identity = identifyProcess(child.pid ?? 0);
  if (identity !== null) endWithTests(folder, identity);
  const output = collect(child);
  const ended = once(child, 'exit').then(([code, signal]) => (signal ?? code) as NodeJS.Signals | number | null);
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  const fileOf = (name: FailpointName): string => join(failpoints, name.replace(':', '-'));
  const signal = (name: NodeJS.Signals): void => {
    if (isAlive()) child.kill(name);
  };
  const ready = waitUntilReady(output, isAlive);
  ready.catch(() => undefined);
  return {
    ready,
    output,
    isAlive,
    ended,
    kill: async () => {
      signal('SIGKILL');
      await ended;
    },
    stop: () => signal('SIGSTOP'),
    wake: () => signal('SIGCONT'),
    terminate: async () => {
      signal('SIGTERM');
      await ended;
    },
    reached: async (name, count = 1) => {
      const file = `${fileOf(name)}.reached`;
      await until(`${count} at ${name}`, () => existsSync(file) && readFileSync(file).length >= count);
    },
    frozen: () => until('the worker is frozen', () => stateOf(child.pid ?? 0) === 'T'),
    release: (name) => writeFileSync(`${fileOf(name)}.go`, ''),
  };
}

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    text += bytes.toString('utf8');
  });
  return () => text;
}

async function waitUntilReady(output: () => string, isAlive: () => boolean): Promise<number> {
  while (!output().includes('workers ready')) {
    if (!isAlive()) throw new Error(`the worker ended before it was ready:\n${output()}`);
    await sleep(10);
  }
  return Date.now();
}

/** Reads the state of a process as the system shows it: `T` when it is stopped. */
function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
}
