import { join } from 'node:path';
import type { Connection } from '@temporalio/client';
import type { Cli } from '../cli.ts';
import { cacheDirectory } from '../dev-stack/cache-directory.ts';
import { executableOnPath } from '../dev-stack/executable-on-path.ts';
import { connectLazily } from '../../runtime/connection.ts';
import {
  listSearchAttributes,
  requiredSearchAttributes,
  type SearchAttributes,
} from '../dev-stack/register-search-attributes.ts';
import { checkTemporalBinary, temporalCliMin, temporalCliVersion } from '../dev-stack/temporal-version.ts';
import { CommandError } from '../exit.ts';
import { configuredTemporal, findTemporal, type TemporalPlace } from '../find-servers.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

type Place = Pick<Cli, 'cwd' | 'env'>;

/** Milliseconds for one answer. A server that is there answers in some. */
const ANSWER_MS = 5_000;

/** gRPC's codes for "not found" and for a call that is not allowed or not there, as on Temporal Cloud. */
const NOT_FOUND = 5;
const NOT_OURS: readonly unknown[] = [7, 12, 16];

/** Looks for the Temporal server, or where none is configured for the program that `npm start` would start. */
export async function examineTemporal(place: Place): Promise<readonly Finding[]> {
  try {
    const isConfigured = configuredTemporal(place.env) !== null;
    const binary = isConfigured ? [] : [await examineBinary(place.env)];
    return [...binary, ...(await examineServer(findTemporal(place)))];
  } catch (error) {
    if (!(error instanceof CommandError)) {
      return [fail('temporal', (error as Error).message, 'put TEMPORAL_ADDRESS, or the profile, right')];
    }
    return [await examineBinary(place.env), warn('temporal', 'no server runs for this folder', 'npm start brings one')];
  }
}

/** Finds the program without downloading or building it. */
async function examineBinary(env: NodeJS.ProcessEnv): Promise<Finding> {
  const subject = 'temporal program';
  const configured = env['PERDURE_TEMPORAL_CLI'];
  const cached = join(cacheDirectory(env), 'temporal', temporalCliVersion, 'temporal');
  const candidates = configured
    ? [{ path: configured, where: 'PERDURE_TEMPORAL_CLI' }]
    : [
        { path: executableOnPath('temporal', env), where: 'PATH' },
        { path: cached, where: 'cache' },
      ];
  const problems: string[] = [];
  for (const { path, where } of candidates) {
    if (path === null) continue;
    const check = await checkTemporalBinary(path);
    if (check.kind === 'usable') return ok(subject, `${check.version}, from the ${where} (${path})`);
    if (check.kind === 'wrong-version') problems.push(`${path} is ${check.version}`);
    else if (where !== 'cache') problems.push(`${path} does not run`);
  }
  const expected = `it must be ${temporalCliMin} or later and below 2`;
  if (configured) return fail(subject, problems.join('; '), `put PERDURE_TEMPORAL_CLI right: ${expected}`);
  const message = ['not here yet', ...problems].join('; ');
  return warn(subject, message, `npm start downloads or builds ${temporalCliVersion}, once per machine`);
}

async function examineServer({ connectionOptions, namespace }: TemporalPlace): Promise<readonly Finding[]> {
  const connection = connectLazily({ connectTimeout: ANSWER_MS, ...connectionOptions });
  const address = connectionOptions.address ?? '';
  const ask = <Answer>(question: () => Promise<Answer>): Promise<Answer> =>
    connection.withDeadline(Date.now() + ANSWER_MS, question);
  try {
    const { serverVersion } = await ask(() => connection.workflowService.getSystemInfo({}));
    const server = ok('temporal', `server ${serverVersion} at ${address}`);
    const found = await ask(() => examineNamespace(connection, namespace));
    const attributes = found.status === 'fail' ? [] : [await ask(() => examineAttributes(connection, namespace))];
    return [server, found, ...attributes];
  } catch (error) {
    const mend = 'start it, or put TEMPORAL_ADDRESS, the profile or the API key right';
    return [fail('temporal', `${address} does not answer: ${(error as Error).message}`, mend)];
  } finally {
    await connection.close();
  }
}

async function examineNamespace({ workflowService }: Connection, namespace: string): Promise<Finding> {
  try {
    const { config } = await workflowService.describeNamespace({ namespace });
    const days = Math.round(Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / 86_400);
    return ok('namespace', `${namespace}${days === 0 ? '' : `, keeps ended runs for ${days} d`}`);
  } catch (error) {
    if (codeOf(error) === NOT_FOUND) {
      const mend = `npm start makes it, or: temporal operator namespace create --namespace ${namespace}`;
      return fail('namespace', `${namespace} does not exist`, mend);
    }
    if (!NOT_OURS.includes(codeOf(error))) throw error;
    return warn('namespace', `${namespace} may not be looked at: ${(error as Error).message}`, 'look at it yourself');
  }
}

async function examineAttributes(connection: Connection, namespace: string): Promise<Finding> {
  try {
    return judgeAttributes(namespace, await listSearchAttributes(connection, namespace));
  } catch (error) {
    if (!NOT_OURS.includes(codeOf(error))) throw error;
    const names = Object.entries(requiredSearchAttributes()).map(([name, type]) => `${name}=${type}`);
    return warn(
      'search attributes',
      `may not be listed: ${(error as Error).message}`,
      `see that they are there: ${names.join(', ')}`,
    );
  }
}

/** Holds the search attributes of a namespace against those that runs are found by. */
export function judgeAttributes(namespace: string, existing: SearchAttributes): Finding {
  const subject = 'search attributes';
  const required = Object.entries(requiredSearchAttributes());
  const wrong = required.filter(([name, type]) => existing[name] !== undefined && existing[name] !== type);
  if (wrong.length > 0) {
    const list = wrong.map(([name, type]) => `${name} is ${existing[name]}, expected ${type}`).join('; ');
    const mend = 'use another namespace, or remove them: temporal operator search-attribute remove';
    return fail(subject, list, mend);
  }
  const missing = required.filter(([name]) => existing[name] === undefined);
  if (missing.length === 0) return ok(subject, `all ${required.length}, with the right types`);
  const options = missing.map(([name, type]) => `--name ${name} --type ${type}`).join(' ');
  return fail(
    subject,
    `missing: ${missing.map(([name]) => name).join(', ')}`,
    `npm start adds them, or: temporal operator search-attribute create --namespace ${namespace} ${options}`,
  );
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code;
}
