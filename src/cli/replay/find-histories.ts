import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Cli } from '../cli.ts';
import { CommandError, EXIT } from '../exit.ts';
import { connectLazily } from '../dev-stack/local-connection.ts';
import { findTemporal } from '../find-servers.ts';
import { readHistories, type RecordedHistory, startOf } from './read-histories.ts';

/**
 * Finds the histories that a person named: a file, a folder's files, or the executions of a run.
 *
 * @throws CommandError when there is none.
 */
export async function findHistories(cli: Cli, target: string): Promise<readonly RecordedHistory[]> {
  const path = resolve(cli.cwd, target);
  if (!existsSync(path)) return fetchHistories(cli, target);
  const histories = readHistories(path);
  if (histories.length > 0) return histories;
  throw new CommandError(
    EXIT.notFound,
    `${target} holds no *.json; write histories with temporal workflow show --output json`,
  );
}

/** Fetches all executions of a run that the server still has, the first one first. */
async function fetchHistories(cli: Cli, runId: string): Promise<readonly RecordedHistory[]> {
  if (!/^[0-9A-Za-z]{22}$/.test(runId)) {
    throw new CommandError(EXIT.notFound, `${runId} is neither a file or folder nor the id of a run`);
  }
  const { connectionOptions, namespace } = findTemporal(cli);
  const connection = connectLazily(connectionOptions);
  try {
    return await fetchChain(new Client({ connection, namespace }), runId);
  } finally {
    await connection.close();
  }
}

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
