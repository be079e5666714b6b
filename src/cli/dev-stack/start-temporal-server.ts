import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { connectLocally, waitUntilServing } from './local-connection.ts';
import { isProcessAlive, type ProcessIdentity } from './process-identity.ts';
import { lastLines, startServerProcess, stopServerProcess } from './server-process.ts';
import { readTemporalConfig } from './temporal-config.ts';

/** Milliseconds until a started server must answer; it takes about one second, more on a loaded machine. */
const startMs = 60_000;

/** How to start a Temporal development server. */
export type TemporalServerOptions = {
  readonly binary: string;
  /** The SQLite file that keeps everything, or null for a server that forgets. */
  readonly dataFile: string | null;
  readonly port: number;
  /** The port of the Web UI, or null for none. */
  readonly uiPort: number | null;
  readonly namespace: string;
  /** The file for the server's log. */
  readonly log: string;
  /** Is called as soon as the process exists, before it answers. */
  readonly onSpawn?: (server: ProcessIdentity) => void;
};

/** A running Temporal server that this process started. */
export type TemporalServer = ProcessIdentity & {
  readonly address: string;
  readonly uiUrl: string | null;
  readonly stop: () => Promise<void>;
};

/**
 * Starts a Temporal development server on 127.0.0.1 and waits until it serves the namespace.
 *
 * @throws with the last lines of its log when it ends or does not answer within a minute.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  await mkdir(dirname(options.log), { recursive: true });
  if (options.dataFile !== null) await mkdir(dirname(options.dataFile), { recursive: true });
  const server = await startServerProcess({
    binary: options.binary,
    parameters: serverParameters(options),
    env: withoutClientSettings(process.env),
    log: options.log,
  });
  options.onSpawn?.(server);
  const address = `127.0.0.1:${options.port}`;
  const connection = connectLocally(address);
  const isServing = await waitUntilServing(connection, options.namespace, {
    timeoutMs: startMs,
    hasEnded: () => !isProcessAlive(server),
  });
  await connection.close();
  if (!isServing) {
    const fate = isProcessAlive(server) ? `did not answer within ${startMs / 1000} s` : 'ended';
    await stopTemporalServer(server);
    throw new Error(
      `The Temporal server at ${address} ${fate}. Last lines of ${options.log}:\n${lastLines(options.log, 10)}`,
    );
  }
  if (options.dataFile !== null) await closeToOthers(options.dataFile);
  return {
    address,
    uiUrl: options.uiPort === null ? null : `http://127.0.0.1:${options.uiPort}`,
    ...server,
    stop: () => stopTemporalServer(server),
  };
}

/** Stops a Temporal server: first by request, after ten seconds by force. */
export function stopTemporalServer(server: ProcessIdentity): Promise<void> {
  return stopServerProcess(server, [
    { signal: 'SIGTERM', graceMs: 10_000 },
    { signal: 'SIGKILL', graceMs: 5_000 },
  ]);
}

/** Lists the parameters of `temporal`; the reason for each dynamic value is in `temporal-config/README.md`. */
function serverParameters(options: TemporalServerOptions): readonly string[] {
  const { dataFile, port, uiPort, namespace } = options;
  // Without the write-ahead log every step of a run waits for the disk several times.
  const pragmas = ['--sqlite-pragma=journal_mode=wal', '--sqlite-pragma=synchronous=normal'];
  const dynamicValues = Object.entries(readTemporalConfig('dynamic-config.json')).flatMap(([key, value]) => [
    '--dynamic-config-value',
    `${key}=${JSON.stringify(value)}`,
  ]);
  return [
    'server',
    'start-dev',
    '--ip=127.0.0.1',
    `--port=${port}`,
    `--namespace=${namespace}`,
    '--log-level=error',
    '--log-format=json',
    ...(uiPort === null ? ['--headless'] : [`--ui-port=${uiPort}`]),
    ...(dataFile === null ? [] : [`--db-filename=${dataFile}`, ...pragmas]),
    ...dynamicValues,
  ];
}

/** Takes the data, which may be that of customers, out of the sight of other accounts; the server makes it readable. */
async function closeToOthers(dataFile: string): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await chmod(`${dataFile}${suffix}`, 0o600).catch(() => undefined);
}

/** Removes the variables that configure clients: the CLI would read them as defaults of its own flags. */
function withoutClientSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}
