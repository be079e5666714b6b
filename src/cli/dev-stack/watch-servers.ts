import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isProcessAlive, type ProcessIdentity } from './process-identity.ts';
import { lastLines } from './server-process.ts';
import { readStackState } from './stack-state.ts';

/** Milliseconds between two looks at the servers. */
const LOOK_MS = 1_000;

const LINES_SHOWN = 5;

type Watched = { readonly name: string; readonly process: ProcessIdentity; readonly log: string };

/**
 * Watches the servers that run for a data folder, whoever started them, and tells when one is gone. Servers that the environment names
 * are not watched: they have operators of their own.
 *
 * @throws Error when a server has ended, with the last lines of its log. Returns only when `signal` is aborted.
 */
export async function watchServers(dataDir: string, signal: AbortSignal): Promise<void> {
  const { temporal, postgres } = readStackState(join(dataDir, 'dev-stack.json'));
  const watched: Watched[] = [];
  if (temporal !== undefined) {
    watched.push({ name: 'the Temporal server', process: temporal.process, log: join(dataDir, 'temporal.log') });
  }
  if (postgres !== undefined) {
    watched.push({ name: 'PostgreSQL', process: postgres.process, log: join(dataDir, 'postgres.log') });
  }
  while (!signal.aborted) {
    const ended = watched.find((server) => !isProcessAlive(server.process));
    if (ended !== undefined) throw new Error(describeEnd(ended));
    await sleep(LOOK_MS, undefined, { ref: false });
  }
}

function describeEnd({ name, log }: Watched): string {
  return `${name} (a server of this data folder) has ended; start again, and the runs go on where they were. Last lines of ${log}:\n${lastLines(log, LINES_SHOWN)}`;
}
