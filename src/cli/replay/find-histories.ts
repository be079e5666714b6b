import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Client, isGrpcServiceError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import type { Cli } from '../cli.ts';
import { CommandError, EXIT } from '../exit.ts';
import { connectLazily } from '../../runtime/connection.ts';
import { findTemporal } from '../find-servers.ts';
import { readHistories, type RecordedHistory, startOf } from './read-histories.ts';

/** What gRPC calls a request that is wrong in itself. */
const INVALID_ARGUMENT = 3;

/** A part of a query to Temporal's list, such as `PerdureAgent = 'support'`. */
const QUERY = /[=<>]|\b(?:IN|IS|BETWEEN|STARTS_WITH)\b/i;

/** The workflows of this code; others in the namespace are somebody else's. */
const OWN_TYPES = `WorkflowType IN ('agentRun', 'startScheduledRun')`;

/**
 * Finds the histories that a person named: a file, a folder's files, the executions of a run, or the newest executions that a query to
 * Temporal's list finds, at most `limit`.
 *
 * @throws CommandError when there is none.
 */
export async function findHistories(cli: Cli, target: string, limit: number): Promise<readonly RecordedHistory[]> {
  const path = resolve(cli.cwd, target);
  if (!existsSync(path)) {
    if (/^[0-9A-Za-z]{22}$/.test(target)) return withClient(cli, (client) => fetchChain(client, target));
    if (QUERY.test(target)) return withClient(cli, (client) => fetchFound(client, target, limit));
    throw new CommandError(
      EXIT.notFound,
      `${target} is neither a file or folder, nor the id of a run, nor a query such as "PerdureAgent = 'support'"`,
    );
  }
  const histories = readHistories(path);
  if (histories.length > 0) return histories;
  throw new CommandError(
    EXIT.notFound,
    `${target} holds no *.json; write histories with temporal workflow show --output json`,
  );
}

async function withClient(
  cli: Cli,
  fetch: (client: Client) => Promise<readonly RecordedHistory[]>,
): Promise<readonly RecordedHistory[]> {
  const { connectionOptions, namespace } = findTemporal(cli);
  const connection = connectLazily(connectionOptions);
  try {
    return await fetch(new Client({ connection, namespace }));
  } finally {
    await connection.close();
  }
}

/** Fetches the executions that a query finds, the newest first. */
async function fetchFound({ workflow }: Client, query: string, limit: number): Promise<readonly RecordedHistory[]> {
  const found: RecordedHistory[] = [];
  try {
    for await (const { workflowId, runId } of workflow.list({ query: `(${query}) AND ${OWN_TYPES}` })) {
      const history = await workflow.getHandle(workflowId, runId).fetchHistory();
      found.push({ name: `${workflowId}/${runId}`, workflowId, content: { history } });
      if (found.length >= limit) break;
    }
  } catch (error) {
    if (!isInvalidQuery(error)) throw error;
    throw new CommandError(EXIT.usage, `Temporal does not take the query ${query}: ${error.cause.message}`);
  }
  if (found.length > 0) return found;
  throw new CommandError(EXIT.notFound, `Temporal's list has nothing for ${query}`);
}

function isInvalidQuery(error: unknown): error is ServiceError & { readonly cause: Error } {
  if (!(error instanceof ServiceError) || !isGrpcServiceError(error.cause)) return false;
  const code: number = error.cause.code;
  return code === INVALID_ARGUMENT;
}

/** Fetches all executions of a run that the server still has, the first one first. */
async function fetchChain({ workflow }: Client, workflowId: string): Promise<readonly RecordedHistory[]> {
  const found: RecordedHistory[] = [];
  let execution: string | undefined;
  for (;;) {
    try {
      const history = await workflow.getHandle(workflowId, execution).fetchHistory();
      found.unshift({
        name: execution === undefined ? workflowId : `${workflowId}/${execution}`,
        workflowId,
        content: { history },
      });
      execution = startOf(history)?.continuedExecutionRunId || undefined;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      // What the server has forgotten is missing from the front of the chain.
      execution = undefined;
    }
    if (execution === undefined) break;
  }
  if (found.length > 0) return found;
  throw new CommandError(EXIT.notFound, `Temporal has no history of run ${workflowId}`);
}
