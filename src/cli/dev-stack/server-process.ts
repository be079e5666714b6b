import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { identifyProcess, isProcessAlive, type ProcessIdentity } from './process-identity.ts';

/** Milliseconds between two looks at a process that is ending. */
const exitPollMs = 25;

/** How to start a server that outlives this terminal's Ctrl-C. */
export type ServerCommand = {
  readonly binary: string;
  readonly parameters: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** File that receives both output streams; the file of the start before is kept as `.previous`. */
  readonly log: string;
  readonly uid?: number;
  readonly gid?: number;
};

/** One signal of a shutdown and how long its effect is awaited. */
export type StopSignal = { readonly signal: NodeJS.Signals; readonly graceMs: number };

/**
 * Starts a server in a process group of its own: Ctrl-C in the terminal reaches our process only, which stops its
 * workers first and the servers after them.
 *
 * @throws when the binary cannot be started.
 */
export async function startServerProcess(command: ServerCommand): Promise<ProcessIdentity> {
  const logFile = openFreshLog(command.log);
  try {
    const child = spawn(command.binary, command.parameters, {
      detached: true,
      stdio: ['ignore', logFile, logFile],
      env: command.env,
      ...(command.uid === undefined ? {} : { uid: command.uid }),
      ...(command.gid === undefined ? {} : { gid: command.gid }),
    });
    await once(child, 'spawn');
    child.on('error', () => undefined);
    child.unref();
    const pid = child.pid ?? 0;
    return identifyProcess(pid) ?? { pid, startedAt: 'ended at once' };
  } finally {
    closeSync(logFile);
  }
}

/** Ends a server by the signals given, in order, until it is gone. A process that ended before is fine. */
export async function stopServerProcess(server: ProcessIdentity, signals: readonly StopSignal[]): Promise<void> {
  for (const { signal, graceMs } of signals) {
    if (!isProcessAlive(server)) return;
    sendSignal(server.pid, signal);
    const deadline = Date.now() + graceMs;
    while (isProcessAlive(server) && Date.now() < deadline) await sleep(exitPollMs);
  }
}

/** Reads the last lines of a log, for an error message. */
export function lastLines(path: string, count: number): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '(no log)';
  }
}

/** Sends a signal, to the whole group where nothing may stay behind. */
function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(signal === 'SIGKILL' ? -pid : pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}

function openFreshLog(path: string): number {
  try {
    renameSync(path, `${path}.previous`);
  } catch {
    // There is no log of a start before.
  }
  return openSync(path, 'a', 0o600);
}
