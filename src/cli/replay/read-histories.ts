import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';

export type History = ReturnType<typeof historyFromJSON>;

type Start = NonNullable<History['events']>[number]['workflowExecutionStartedEventAttributes'];

/** A recorded history, or why it cannot be read. */
export type RecordedHistory = {
  /** What the person calls it: the file, or the run and its execution. */
  readonly name: string;
  readonly workflowId: string;
  readonly content: { readonly history: History } | { readonly problem: string };
};

/** Reads the `*.json` of a folder in the order of their names, or one file. */
export function readHistories(path: string): readonly RecordedHistory[] {
  if (!statSync(path).isDirectory()) return [readHistory(path)];
  const files = readdirSync(path).filter((name) => name.endsWith('.json'));
  return files.toSorted().map((name) => readHistory(join(path, name)));
}

/** Gives what a history says of its start. */
export function startOf({ events }: History): Start {
  return events?.[0]?.workflowExecutionStartedEventAttributes;
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
