import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { initialisePostgres, postgresUser, readPostgresPassword } from './initialise-postgres.ts';
import { postgresAccount, type PostgresAccount } from './postgres-account.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { answersSql, createDatabase } from './postgres-client.ts';
import { postgresEnvironment } from './postgres-environment.ts';
import { choosePostgresFolder, holdsDatabase } from './postgres-folder.ts';
import { commandLineOf, identifyProcess, isProcessAlive, type ProcessIdentity } from './process-identity.ts';
import type { Report } from './report.ts';
import { lastLines, startServerProcess, stopServerProcess } from './server-process.ts';

/** Milliseconds until a started server must answer; it takes 0.2 s, and longer to recover after a crash. */
const startMs = 60_000;

/** Milliseconds between two questions to a server that is starting. */
const pollMs = 50;

/** The database that everything of Perdure is in. */
const databaseName = 'perdure';

/** Connections for all worker roles, the gateway and a person with psql; the default of 100 is short of that. */
const connectionsMax = 200;

/** How to start the embedded PostgreSQL. */
export type PostgresOptions = {
  /** The folder for the database; its password is kept beside it. */
  readonly dataDir: string;
  readonly port: number;
  readonly report?: Report;
  /** The file for the server's log; `<dataDir>.log` when absent. */
  readonly log?: string;
  /** Is called as soon as the process exists, before it answers. */
  readonly onSpawn?: (server: ProcessIdentity) => void;
};

/** A running PostgreSQL that this process started or took over. */
export type PostgresServer = ProcessIdentity & {
  /** The address with user and password. */
  readonly url: string;
  readonly stop: () => Promise<void>;
};

/**
 * Starts PostgreSQL on 127.0.0.1 with a database `perdure`; makes the data folder the first time. A server that still
 * runs on the folder, left by a process that was killed, is taken over with the port that it has.
 *
 * @throws one clear message when the folder cannot be used or the server does not answer within a minute.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const report = options.report ?? (() => undefined);
  const account = await postgresAccount(report);
  const binaries = await findPostgresBinaries(account, report);
  const folder = await choosePostgresFolder(options.dataDir, account, report);
  if (!(await holdsDatabase(folder, binaries.version))) await initialisePostgres(folder, binaries, account);
  const password = await readPostgresPassword(folder);
  const left = await findLeftServer(folder, password);
  if (left !== null) {
    options.onSpawn?.(left);
    return left;
  }
  const log = options.log ?? `${options.dataDir}.log`;
  const server = await spawnPostgres({ folder, port: options.port, log, binaries, account });
  options.onSpawn?.(server);
  const serverUrl = databaseUrl(password, options.port, 'postgres');
  if (!(await waitUntilAnswering(serverUrl, server))) {
    const fate = isProcessAlive(server) ? `did not answer within ${startMs / 1000} s` : 'ended';
    await stopPostgres(server);
    throw new Error(
      `PostgreSQL at port ${options.port} on ${folder} ${fate}. Last lines of ${log}:\n${lastLines(log, 10)}`,
    );
  }
  await createDatabase(serverUrl, databaseName);
  return { url: databaseUrl(password, options.port, databaseName), ...server, stop: () => stopPostgres(server) };
}

/** Stops PostgreSQL: first open connections are closed and all is written, after ten seconds by force. */
export function stopPostgres(server: ProcessIdentity): Promise<void> {
  return stopServerProcess(server, [
    { signal: 'SIGINT', graceMs: 10_000 },
    { signal: 'SIGQUIT', graceMs: 5_000 },
    { signal: 'SIGKILL', graceMs: 5_000 },
  ]);
}

function spawnPostgres(how: {
  readonly folder: string;
  readonly port: number;
  readonly log: string;
  readonly binaries: PostgresBinaries;
  readonly account: PostgresAccount | null;
}): Promise<ProcessIdentity> {
  const settings = {
    listen_addresses: '127.0.0.1',
    // No socket file: its folder differs between systems and its name collides between stacks.
    unix_socket_directories: '',
    max_connections: String(connectionsMax),
  };
  const parameters = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return startServerProcess({
    binary: how.binaries.postgres,
    parameters: ['-D', how.folder, '-p', String(how.port), ...parameters],
    env: postgresEnvironment(process.env),
    log: how.log,
    ...how.account,
  });
}

/**
 * Finds the server that still runs on a folder, left by a process that was killed. PostgreSQL itself trusts the pid in
 * `postmaster.pid`, which may be that of any other program by now, so we look at what runs there and clear the file.
 */
async function findLeftServer(folder: string, password: string): Promise<PostgresServer | null> {
  const path = join(folder, 'postmaster.pid');
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  const server = identifyProcess(Number(lines[0]));
  if (server !== null && commandLineOf(server.pid).includes(folder)) {
    const url = databaseUrl(password, Number(lines[3]), databaseName);
    if (await answersSql(url)) return { url, ...server, stop: () => stopPostgres(server) };
    await stopPostgres(server);
  }
  await rm(path, { force: true });
  return null;
}

function databaseUrl(password: string, port: number, database: string): string {
  return `postgresql://${postgresUser}:${password}@127.0.0.1:${port}/${database}`;
}

async function waitUntilAnswering(url: string, server: ProcessIdentity): Promise<boolean> {
  const deadline = Date.now() + startMs;
  while (Date.now() < deadline && isProcessAlive(server)) {
    if (await answersSql(url)) return true;
    await sleep(pollMs);
  }
  return false;
}
