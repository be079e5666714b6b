import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { waitUntilServing } from './local-connection.ts';

/** gRPC's code for "not found". */
const notFound = 5;

/** gRPC's code for "already exists". */
const alreadyExists = 6;

/** Milliseconds that a closed run stays readable: a week. */
const retentionMs = 7 * 24 * 60 * 60_000;

/** Milliseconds until a new namespace must be usable; a cluster needs about ten seconds. */
const visibleMs = 60_000;

/**
 * Creates a namespace where it is missing, with a retention of seven days.
 *
 * @returns whether it was created now.
 * @throws when the server refuses or the namespace does not become usable within a minute.
 */
export async function ensureNamespace(connection: Connection, namespace: string): Promise<boolean> {
  if (await existsNamespace(connection, namespace)) return false;
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      description: 'Agent runs of Perdure',
      workflowExecutionRetentionPeriod: msToTs(retentionMs),
    });
  } catch (error) {
    if (!hasCode(error, alreadyExists)) {
      throw new Error(`Namespace ${namespace} does not exist and could not be created`, { cause: error });
    }
  }
  const isUsable = await waitUntilServing(connection, namespace, {
    timeoutMs: visibleMs,
    hasEnded: () => false,
  });
  if (!isUsable) throw new Error(`Namespace ${namespace} is not usable a minute after it was created`);
  return true;
}

async function existsNamespace(connection: Connection, namespace: string): Promise<boolean> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    if (hasCode(error, notFound)) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: number): boolean {
  return (error as { readonly code?: unknown }).code === code;
}
