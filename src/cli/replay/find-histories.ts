import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Client, WorkflowNotFoundError } from '@temporalio/client';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Cli } from '../cli.ts';
import { CommandError, EXIT } from '../exit.ts';
import { connectLazily } from '../dev-stack/local-connection.ts';
import { findTemporal } from '../find-servers.ts';

type History = ReturnType<typeof historyFromJSON>;

/** A recorded history, or why it cannot be read. */
export type RecordedHistory = {
  /** What the person calls it: the file, or the run and its execution. */
  readonly name: string;
  readonly workflowId: string;
  readonly content: { readonly history: History } | { readonly problem: string };
};

/**
 * Finds the histories that a person named: a file, a folder's files, or the executions of a run.
 *
 * @throws CommandError when there is none.
 */
export async function findHistories(cli: Cli, target: string): Promise<readonly RecordedHistory[]> {
  const path = resolve(cli.cwd, target);
  if (!existsSync(path)) return fetchHistories(cli, target);
  if (!statSync(path).isDirectory()) return [readHistory(path)];
  const files = readdirSync(path).filter((name) => name.endsWith('.json'));
  if (files.length > 0) return files.toSorted().map((name) => readHistory(join(path, name)));
  throw new CommandError(
    EXIT.notFound,
    `${target} holds no *.json; write histories with temporal workflow show --output json`,
  );
}

function readHistory(path: string): RecordedHistory {
  const name = basename(path);
  try {
    const history = historyFromJSON(JSON.parse(readFileSync(path, 'utf8')));
    // Ids of approvals and effects are derived from the workflow's id, so it must be the recorded one.
    return { name, workflowId: startOf(history)?.workflowId || name.replace(/\.json$/, ''), content: { history } };
  } catch (error) {
    return { name, workflowId: name, content: { problem: `not a JSON history: ${(error as Error).message}` } };
  }
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

function startOf({ events }: History) {
  return events?.[0]?.workflowExecutionStartedEventAttributes;
}
