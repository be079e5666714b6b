import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { identifyProcess, isProcessAlive, type ProcessIdentity } from './process-identity.ts';

/** A server of the stack and the process that will stop it. */
export type RecordedServer = { readonly process: ProcessIdentity; readonly owner: ProcessIdentity };

/** The recorded Temporal server. */
export type RecordedTemporal = RecordedServer & {
  readonly address: string;
  readonly uiUrl: string | null;
  readonly namespace: string;
};

/** The recorded PostgreSQL; `url` is null until the server answers for the first time. */
export type RecordedPostgres = RecordedServer & { readonly url: string | null };

/** What runs for a data folder, so that the next process finds it. */
export type StackState = { readonly temporal?: RecordedTemporal; readonly postgres?: RecordedPostgres };

/** Reads the state file; one that is missing or cannot be read counts as empty. */
export function readStackState(path: string): StackState {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as StackState;
  } catch {
    return {};
  }
}

/** Writes the state file for the owner's eyes only, as it holds a password; an empty state removes it. */
export function writeStackState(path: string, state: StackState): void {
  if (state.temporal === undefined && state.postgres === undefined) {
    rmSync(path, { force: true });
    return;
  }
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(unfinished, path);
}

/** Identifies the process that we are. */
export function ownIdentity(): ProcessIdentity {
  return identifyProcess(process.pid) ?? { pid: process.pid, startedAt: 'unknown' };
}

/** Tells whether a server that was found has nobody left to stop it, so that this process has to. */
export function isAbandoned(server: RecordedServer): boolean {
  return !isProcessAlive(server.owner);
}
