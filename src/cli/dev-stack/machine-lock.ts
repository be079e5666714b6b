import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identifyProcess, isProcessAlive, type ProcessIdentity } from './process-identity.ts';
import { withProgress, type Report } from './report.ts';

/** Milliseconds between two attempts to get a lock that another process holds. */
const retryMs = 250;

/** What is locked and how to word the wait for it. */
export type LockRequest = {
  readonly path: string;
  /** What the other process is doing, as in "building the Temporal server". */
  readonly activity: string;
  readonly report: Report;
};

/**
 * Runs work that only one process of this machine may do at a time. Others wait and say so; the lock of a process that
 * died is taken over.
 */
export async function withMachineLock<T>(request: LockRequest, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(request.path), { recursive: true });
  if (!tryLock(request.path)) await waitForLock(request);
  try {
    return await work();
  } finally {
    rmSync(request.path, { force: true });
  }
}

async function waitForLock({ path, activity, report }: LockRequest): Promise<void> {
  const holder = readHolder(path);
  report(`waiting for process ${holder?.pid ?? '(unknown)'}, which is ${activity}`);
  await withProgress(report, `waiting for process ${holder?.pid ?? '(unknown)'}`, async () => {
    while (!tryLock(path)) await sleep(retryMs);
  });
}

/** Takes the lock by linking a complete file into place, so that nobody reads a lock without its holder. */
function tryLock(path: string): boolean {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, JSON.stringify(identifyProcess(process.pid)));
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    removeStaleLock(path);
    return false;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Moves a dead process's lock away first and looks again: another waiter may have replaced it in between. */
function removeStaleLock(path: string): void {
  const holder = readHolder(path);
  if (holder !== null && isProcessAlive(holder)) return;
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
    const moved = readHolder(aside);
    if (moved !== null && isProcessAlive(moved)) linkSync(aside, path);
  } catch {
    // Somebody else moved it or holds it again: the next attempt sees.
  } finally {
    rmSync(aside, { force: true });
  }
}

function readHolder(path: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
  } catch {
    return null;
  }
}
