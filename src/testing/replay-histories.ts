import { existsSync } from 'node:fs';
import { readHistories } from '../cli/replay/read-histories.ts';
import { replayHistories as replayAll, type ReplayedHistory } from '../cli/replay/replay-histories.ts';

/**
 * Replays the recorded histories of a folder (its `*.json`), or of one file, on the workflow code that is installed. No server is needed.
 *
 * @returns each history with its problem, or null where it replays.
 * @throws Error when the folder holds none: a test of nothing must not pass.
 */
export async function replayHistories(path: string): Promise<readonly ReplayedHistory[]> {
  const histories = existsSync(path) ? readHistories(path) : [];
  if (histories.length > 0) return replayAll(histories);
  throw new Error(`${path} holds no *.json: record a run with recordHistory first`);
}
