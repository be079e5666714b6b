import { Worker } from '@temporalio/worker';
import { createLogger } from '../../runtime/logger.ts';
import { bundleWorkflows } from '../../workers/bundle-workflows.ts';
import { installRuntime } from '../../workers/install-runtime.ts';
import type { RecordedHistory } from './read-histories.ts';

export type ReplayedHistory = { readonly name: string; readonly problem: string | null };

/** Replays histories on the workflow code of this build. What does not replay is told by its problem. */
export async function replayHistories(histories: readonly RecordedHistory[]): Promise<readonly ReplayedHistory[]> {
  // The SDK logs each failure with its stack; the result says the same in one line.
  installRuntime(createLogger('fatal'));
  const { code } = await bundleWorkflows();
  const results: ReplayedHistory[] = [];
  for (const { name, workflowId, content } of histories) {
    results.push({
      name,
      problem: 'problem' in content ? content.problem : await problemOf(code, workflowId, content.history),
    });
  }
  return results;
}

async function problemOf(code: string, workflowId: string, history: object): Promise<string | null> {
  try {
    await Worker.runReplayHistory({ workflowBundle: { code } }, history, workflowId);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
