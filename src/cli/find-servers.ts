import { join } from 'node:path';
import type { ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { checkDatabaseUrl, checkTemporalAddress } from '../runtime/config.ts';
import { DEFAULT_NAMESPACE } from '../runtime/connection.ts';
import type { Cli } from './cli.ts';
import { isProcessAlive } from './dev-stack/process-identity.ts';
import { readStackState, type RecordedTemporal, type StackState } from './dev-stack/stack-state.ts';
import { CommandError, EXIT } from './exit.ts';

/** Where Temporal is, and where its Web UI. */
export type TemporalPlace = {
  readonly connectionOptions: ConnectionOptions;
  readonly namespace: string;
  /** Null where it is not known. */
  readonly uiUrl: string | null;
};

/** The folder of `npm start`'s data, logs and state. */
export function dataDirectory(cwd: string): string {
  return join(cwd, '.data');
}

/**
 * Finds Temporal: `TEMPORAL_ADDRESS` or a profile of `temporal.toml`, else the server of a running `npm start`.
 *
 * @throws CommandError when there is neither.
 */
export function findTemporal(cli: Pick<Cli, 'cwd' | 'env'>): TemporalPlace {
  const configured = configuredTemporal(cli.env);
  if (configured !== null) return configured;
  const { temporal } = stackOf(cli);
  if (temporal === undefined || !isProcessAlive(temporal.process)) throw noServer('Temporal', 'TEMPORAL_ADDRESS');
  return localTemporal(temporal);
}

/** Reads which Temporal the environment or a profile names; null when none does. */
export function configuredTemporal(env: NodeJS.ProcessEnv): TemporalPlace | null {
  const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars: definedValues(env) });
  if (!connectionOptions.address) return null;
  checkTemporalAddress(connectionOptions.address);
  return { connectionOptions, namespace: namespace ?? DEFAULT_NAMESPACE, uiUrl: null };
}

/** Describes a Temporal of this machine, which no proxy of the environment can reach. */
export function localTemporal({
  address,
  namespace,
  uiUrl,
}: Pick<RecordedTemporal, 'address' | 'namespace' | 'uiUrl'>): TemporalPlace {
  return { connectionOptions: { address, channelArgs: { 'grpc.enable_http_proxy': 0 } }, namespace, uiUrl };
}

/**
 * Finds the database: `DATABASE_URL`, else that of a running `npm start`.
 *
 * @throws CommandError when there is neither.
 */
export function findDatabase(cli: Pick<Cli, 'cwd' | 'env'>): string {
  const configured = cli.env['DATABASE_URL'];
  if (configured) return checkDatabaseUrl(configured);
  const { postgres } = stackOf(cli);
  const url = postgres?.url ?? null;
  if (postgres === undefined || url === null || !isProcessAlive(postgres.process)) {
    throw noServer('database', 'DATABASE_URL');
  }
  return url;
}

/** Links to a run in Temporal's Web UI; null where the Web UI is not known. */
export function runLink(
  { uiUrl, namespace }: Pick<TemporalPlace, 'uiUrl' | 'namespace'>,
  runId: string,
): string | null {
  return uiUrl === null ? null : `${uiUrl}/namespaces/${namespace}/workflows/${runId}`;
}

function stackOf({ cwd }: Pick<Cli, 'cwd'>): StackState {
  return readStackState(join(dataDirectory(cwd), 'dev-stack.json'));
}

function noServer(what: string, variable: string): CommandError {
  return new CommandError(
    EXIT.failed,
    `no ${what} is running for this folder. Run npm start in another terminal, or set ${variable}.`,
  );
}

function definedValues(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
