import { setTimeout as sleep } from 'node:timers/promises';
import type { RunHandle } from '../client/run-handle.ts';
import type { PendingDecision } from '../domain/run/views.ts';

/** Milliseconds between two questions to the run. */
const POLL_MS = 50;

/**
 * Waits until a run asks a person: for an approval, or with the tool `askPerson`.
 *
 * @throws Error when the run ends without asking, or does not ask within the time.
 */
export async function untilAsked(
  run: Pick<RunHandle, 'id' | 'pending' | 'state'>,
  { timeoutMs = 30_000 }: { readonly timeoutMs?: number } = {},
): Promise<PendingDecision> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const [asked] = await run.pending();
    if (asked !== undefined) return asked;
    const { outcome, phase } = await run.state();
    if (outcome !== null) throw new Error(`run ${run.id} asked nobody and ended: ${JSON.stringify(outcome)}`);
    if (performance.now() > giveUpAt) throw new Error(`run ${run.id} asked nobody within ${timeoutMs} ms: ${phase}`);
    await sleep(POLL_MS);
  }
}
