import { loadClientConnectConfig } from '@temporalio/envconfig';
import { checkDatabaseUrl, checkTemporalAddress } from '../../runtime/config.ts';
import { ensureNamespace } from './ensure-namespace.ts';
import { connectLazily } from '../../runtime/connection.ts';
import { whySqlFails } from './postgres-client.ts';

/** Milliseconds for the first answer of a server that somebody else runs. */
const answerMs = 10_000;

/** The namespace where neither the environment nor a profile names one. */
export const defaultNamespace = 'perdure';

/** A Temporal server that the environment or a profile names. */
export type ConfiguredTemporal = { readonly address: string; readonly namespace: string };

/**
 * Connects to the Temporal server that `TEMPORAL_ADDRESS` or a `temporal.toml` profile names, and creates its namespace
 * where it is missing.
 *
 * @returns null when neither names an address.
 * @throws when the named server does not answer, or the named profile does not exist.
 */
export async function useConfiguredTemporal(env: NodeJS.ProcessEnv): Promise<ConfiguredTemporal | null> {
  const { connectionOptions, namespace: named } = loadClientConnectConfig({ overrideEnvVars: definedValues(env) });
  const address = connectionOptions.address;
  if (!address) return null;
  checkTemporalAddress(address);
  const namespace = named ?? defaultNamespace;
  const connection = connectLazily(connectionOptions);
  try {
    await connection.withDeadline(Date.now() + answerMs, () => connection.workflowService.getSystemInfo({}));
    await ensureNamespace(connection, namespace);
  } catch (error) {
    throw new Error(`The configured Temporal server ${address} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    await connection.close();
  }
  return { address, namespace };
}

/**
 * Checks the database that `DATABASE_URL` names.
 *
 * @returns null when it names none.
 * @throws when the database does not answer.
 */
export async function useConfiguredPostgres(env: NodeJS.ProcessEnv): Promise<string | null> {
  const url = env['DATABASE_URL'];
  if (!url) return null;
  checkDatabaseUrl(url);
  const failure = await whySqlFails(url, answerMs);
  if (failure !== null) throw new Error(`The database of DATABASE_URL does not answer: ${failure}`);
  return url;
}

function definedValues(env: NodeJS.ProcessEnv): Record<string, string> {
  const entries = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}
