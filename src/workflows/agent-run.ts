import {
  allHandlersFinished,
  CancellationScope,
  condition,
  makeContinueAsNewFunc,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { type Continuation, packContinuation } from '../domain/run/continuation.ts';
import { decide } from '../domain/run/decide.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { RunStart } from '../domain/run/start.ts';
import { perform } from './perform.ts';
import { present, presentCost, presentEnd, recordProgress } from './present.ts';
import { observe, openShell, type Shell } from './shell.ts';

/**
 * Runs an agent: decide, perform, evolve, until it ends. Deterministic: what it decides depends only on recorded inputs, results and
 * messages. A cancellation, like every message, is recorded and acted on by the loop, so that a write in flight finishes.
 */
export async function agentRun(input: RunStart | Continuation): Promise<RunEnd> {
  const shell = openShell(input);
  CancellationScope.current().cancelRequested.catch(() => observe(shell, { kind: 'cancel-requested' }));
  return CancellationScope.nonCancellable(() => loop(shell));
}

async function loop(shell: Shell): Promise<RunEnd> {
  watchDeadline(shell);
  for (;;) {
    const decision = decide(shell.run, { isHistoryLong: workflowInfo().continueAsNewSuggested, now: Date.now() });
    present(shell, decision);
    if (decision.kind === 'end') {
      observe(shell, { kind: 'ended', outcome: decision.end.outcome });
      const end = await presentEnd(shell, decision.end);
      await condition(allHandlersFinished);
      return end;
    }
    if (decision.kind === 'continue-as-new') {
      await continueAsNew(shell);
      continue;
    }
    observe(shell, await perform(shell, decision));
  }
}

/** Ends this execution and goes on in the next. When something was said meanwhile, the loop looks again first. */
async function continueAsNew(shell: Shell): Promise<void> {
  recordProgress(shell);
  presentCost(shell.run);
  await shell.progress;
  await condition(allHandlersFinished);
  const decision = decide(shell.run, { isHistoryLong: true });
  if (decision.kind !== 'continue-as-new') return;
  await makeContinueAsNewFunc<(input: Continuation) => Promise<RunEnd>>({ workflowType: agentRun.name })(
    packContinuation(shell.run),
  );
}

/** The deadline counts everything, waiting included. Its timer ends with the execution. */
function watchDeadline(shell: Shell): void {
  const remainingMs = Math.max(1, shell.run.start.deadlineAt - Date.now());
  void sleep(remainingMs, { summary: 'deadline of the run' }).then(
    () => observe(shell, { kind: 'deadline-passed' }),
    () => undefined,
  );
}
