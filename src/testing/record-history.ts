import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Client } from '@temporalio/client';
import { type History, historyToJSON } from '@temporalio/common/lib/proto-utils.js';

/**
 * Writes the histories of a run, one file per execution, unless they are written already.
 *
 * @returns the files that were written.
 * @throws TypeError for a file that `replayHistories` would not find.
 */
export async function recordHistory(client: Client, workflowId: string, file: string): Promise<readonly string[]> {
  if (!file.endsWith('.json')) throw new TypeError(`A history's file must end with .json, got ${file}`);
  const numbered = (number: number): string => file.replace(/\.json$/, `-${number}.json`);
  if (existsSync(file) || existsSync(numbered(1))) return [];
  const executions = await fetchExecutions(client, workflowId);
  const files = executions.map((_, index) => (executions.length === 1 ? file : numbered(index + 1)));
  mkdirSync(dirname(file), { recursive: true });
  for (const [index, path] of files.entries()) writeFileSync(path, historyText(executions[index] ?? {}));
  return files;
}

/** Writes a history as Temporal's tools do, one event a line. */
export function historyText(history: History): string {
  const { events } = JSON.parse(historyToJSON(history)) as { readonly events: readonly object[] };
  return `{"events":[\n${events.map((event) => JSON.stringify(event, withoutStacks)).join(',\n')}\n]}\n`;
}

/** Fetches the executions of a run, the first one first. */
async function fetchExecutions({ workflow }: Client, workflowId: string): Promise<readonly History[]> {
  const found: History[] = [];
  let execution: string | undefined;
  do {
    const history = await workflow.getHandle(workflowId, execution).fetchHistory();
    found.unshift(history);
    execution = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
  } while (execution !== undefined);
  return found;
}

/** Stacks hold the paths of this machine, and a replay does not read them. */
function withoutStacks(key: string, value: unknown): unknown {
  return key === 'stackTrace' ? '' : value;
}
