import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { Shell } from './shell.ts';

/**
 * Runs work that a stop calls off, and once the run is blocked also a `retry`, which schedules it anew. Null when it was called off
 * before it had a result.
 */
export async function untilCalledOff<Result>(shell: Shell, work: () => Promise<Result>): Promise<Result | null> {
  const isPatient = shell.run.blocked !== null;
  const scope = new CancellationScope({ cancellable: true });
  const watch = new CancellationScope({ cancellable: true });
  const watching = watch.run(async () => {
    await condition(() => shell.run.stop !== null || (isPatient && shell.run.blocked === null));
    scope.cancel();
  });
  try {
    return await scope.run(work);
  } catch (error) {
    if (isCancellation(error)) return null;
    throw error;
  } finally {
    watch.cancel();
    await watching.catch(() => undefined);
  }
}
