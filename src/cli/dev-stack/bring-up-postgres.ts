import { join } from 'node:path';
import { useConfiguredPostgres } from './configured-servers.ts';
import { reportedPort } from './free-port.ts';
import { answersSql } from './postgres-client.ts';
import { isProcessAlive } from './process-identity.ts';
import type { Own, PartRequest, StackPostgres } from './stack.ts';
import { isAbandoned, ownIdentity, readStackState, writeStackState, type RecordedPostgres } from './stack-state.ts';
import { startPostgres, stopPostgres } from './start-postgres.ts';

/** Not PostgreSQL's own 5432, which is often taken by one that belongs to the system. */
const defaultPort = 5433;

/** Brings up the database of a stack and calls `own` when this process has to stop it. */
export async function bringUpPostgres(request: PartRequest, own: Own): Promise<StackPostgres> {
  const configured = request.forTests === true ? null : await useConfiguredPostgres(request.env);
  if (configured !== null) return { url: configured, owned: false, source: 'configured' };
  return (await findRunning(request, own)) ?? startNew(request, own);
}

async function findRunning({ stateFile, report }: PartRequest, own: Own): Promise<StackPostgres | null> {
  const recorded = readStackState(stateFile).postgres;
  if (recorded === undefined || !isProcessAlive(recorded.process)) return null;
  const { url } = recorded;
  if (url === null || !(await answersSql(url))) {
    report(`PostgreSQL (process ${recorded.process.pid}) does not answer; replacing it`);
    await stopPostgres(recorded.process);
    return null;
  }
  const owned = isAbandoned(recorded);
  report(`using the PostgreSQL that runs at ${new URL(url).host}`);
  if (owned) {
    record(stateFile, { ...recorded, owner: ownIdentity() });
    own(recorded.process);
  }
  return { url, owned, source: 'found' };
}

async function startNew(
  { dataDir, report, stateFile, forTests = false }: PartRequest,
  own: Own,
): Promise<StackPostgres> {
  const owner = ownIdentity();
  const { url, pid, startedAt } = await startPostgres({
    dataDir: join(dataDir, 'postgres'),
    port: await reportedPort('PostgreSQL', forTests ? 0 : defaultPort, report),
    report,
    onSpawn: (server) => {
      record(stateFile, { process: { pid: server.pid, startedAt: server.startedAt }, owner, url: null });
      own(server);
    },
  });
  record(stateFile, { process: { pid, startedAt }, owner, url });
  return { url, owned: true, source: 'started' };
}

function record(stateFile: string, postgres: RecordedPostgres): void {
  writeStackState(stateFile, { ...readStackState(stateFile), postgres });
}
