import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import packageJson from '../../../package.json' with { type: 'json' };
import type { Cli } from '../cli.ts';
import { freePort } from '../dev-stack/free-port.ts';
import { findPostgresBinaries } from '../dev-stack/postgres-binaries.ts';
import { isProcessAlive } from '../dev-stack/process-identity.ts';
import { readStackState, type RecordedServer } from '../dev-stack/stack-state.ts';
import { configuredTemporal, dataDirectory } from '../find-servers.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

type Place = Pick<Cli, 'cwd' | 'env'>;

/** Ports that `npm start` prefers; it takes others when these are taken. */
const PREFERRED_PORTS = [
  { server: 'temporal', port: 7233 },
  { server: 'temporal', port: 8233 },
  { server: 'postgres', port: 5433 },
] as const;

/** Below this PostgreSQL may not find the room for its write-ahead log, which is 1 GiB when it is busy. */
const DISK_BYTES_WARN = 2 * 1024 ** 3;

/** A new database and the logs of a day take this much. */
const DISK_BYTES_MIN = 200 * 1024 ** 2;

/** Looks at Node, at what npm installed for this platform, at ports and at the disk. */
export async function examineMachine(place: Place): Promise<readonly Finding[]> {
  return [
    examineNode(process.versions.node),
    await examineWorkerLibrary(),
    await examinePostgresPrograms(place),
    ...(await examinePorts(place)),
    await examineDisk(place),
  ];
}

/** Judges a version of Node by the one that npm installs beside this package. */
export function examineNode(version: string): Finding {
  const [wanted = ''] = packageJson.dependencies.node.split('.');
  if (Number(version.split('.')[0]) >= Number(wanted)) return ok('node', version);
  return fail('node', version, `use Node ${wanted} or later; the scripts of npm bring their own`);
}

/** The worker's library is native: loading it is the only proof that it fits this machine. */
async function examineWorkerLibrary(): Promise<Finding> {
  const subject = 'worker library';
  try {
    await import('@temporalio/worker');
    return ok(subject, `loads on ${process.platform}-${process.arch}`);
  } catch (error) {
    return fail(subject, (error as Error).message, 'run npm install on this machine, with optional dependencies');
  }
}

async function examinePostgresPrograms({ env }: Place): Promise<Finding> {
  const subject = 'embedded postgres';
  try {
    const { postgres } = await findPostgresBinaries(null, () => undefined);
    const { stdout } = await promisify(execFile)(postgres, ['--version'], { cwd: '/' });
    return ok(subject, stdout.trim());
  } catch (error) {
    const mend = 'run npm install with optional dependencies, or set DATABASE_URL';
    const { message } = error as Error;
    return env['DATABASE_URL']
      ? warn(subject, `${message}; DATABASE_URL goes before it`, mend)
      : fail(subject, message, mend);
  }
}

async function examinePorts({ cwd, env }: Place): Promise<readonly Finding[]> {
  const stack = readStackState(join(dataDirectory(cwd), 'dev-stack.json'));
  const isOurs = { temporal: isAlive(stack.temporal), postgres: isAlive(stack.postgres) };
  const isConfigured = { temporal: isTemporalConfigured(env), postgres: Boolean(env['DATABASE_URL']) };
  const needed = PREFERRED_PORTS.filter(({ server }) => !isOurs[server] && !isConfigured[server]);
  const taken: number[] = [];
  for (const { port } of needed) if ((await freePort(port)) !== port) taken.push(port);
  if (taken.length > 0) {
    return [
      warn('ports', `${taken.join(', ')} taken`, 'nothing must be done: npm start takes other ports and says so'),
    ];
  }
  if (needed.length === 0) return [ok('ports', 'not needed: the servers run already')];
  return [ok('ports', `${needed.map(({ port }) => port).join(', ')} free`)];
}

function isAlive(server: RecordedServer | undefined): boolean {
  return server !== undefined && isProcessAlive(server.process);
}

function isTemporalConfigured(env: NodeJS.ProcessEnv): boolean {
  try {
    return configuredTemporal(env) !== null;
  } catch {
    // A profile that does not exist; the look at Temporal says so.
    return true;
  }
}

async function examineDisk({ cwd }: Place): Promise<Finding> {
  const subject = 'disk';
  let folder = dataDirectory(cwd);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    const { bavail, bsize } = await statfs(folder);
    return judgeDisk(bavail * bsize);
  } catch (error) {
    return warn(subject, `the space for .data is not known: ${(error as Error).message}`, 'look at the disk yourself');
  }
}

/** Judges the bytes that are free for `.data`. */
export function judgeDisk(bytes: number): Finding {
  const message = `${(bytes / 1024 ** 3).toFixed(1)} GiB free for .data`;
  if (bytes >= DISK_BYTES_WARN) return ok('disk', message);
  const mend = 'free some space: a database without room stops';
  return bytes >= DISK_BYTES_MIN ? warn('disk', message, mend) : fail('disk', message, mend);
}
