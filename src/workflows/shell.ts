import { setHandler, workflowInfo } from '@temporalio/workflow';
import { isContinuation, unpackContinuation, type Continuation } from '../domain/run/continuation.ts';
import { evolve } from '../domain/run/evolve.ts';
import { LIMITS } from '../domain/run/limits.ts';
import type { MessageReceipt, RunMessage, RunMessageKind } from '../domain/run/message.ts';
import { isApplied, messageProblem } from '../domain/run/messages.ts';
import type { Observation } from '../domain/run/observation.ts';
import { openRun } from '../domain/run/open-run.ts';
import type { Phase } from '../domain/run/phase.ts';
import type { Run } from '../domain/run/run.ts';
import type { RunStart } from '../domain/run/start.ts';
import { pendingOf, type RejectedMessage, stateOf, usageOf } from '../domain/run/views.ts';
import { ApplicationFailure } from '@temporalio/workflow';
import { pendingQuery, RUN_MESSAGES, stateQuery, usageQuery } from './agent-run.messages.ts';

/** What the deterministic shell holds between two decisions. `run` is replaced, never changed. */
export type Shell = {
  run: Run;
  phase: Phase;
  /** Whether the run can be found by its release. */
  isReleaseShown: boolean;
  readonly rejected: RejectedMessage[];
  /** When a question expires, by turn and call. No question outlives an execution. */
  readonly questionDeadlines: Map<string, number>;
  /** Calls off the row update of the phase before. */
  cancelProgress: () => void;
  progress: Promise<void>;
};

/**
 * Opens the shell and registers every handler before anything is awaited, so that no message is lost. Replay-safe: it reads only the input
 * and the workflow's own id.
 */
export function openShell(input: RunStart | Continuation): Shell {
  const run = isContinuation(input) ? unpackContinuation(input) : openRun(workflowInfo().workflowId, input);
  const shell: Shell = {
    run,
    phase: 'running',
    isReleaseShown: run.plan !== null,
    rejected: [],
    questionDeadlines: new Map(),
    cancelProgress: () => undefined,
    progress: Promise.resolve(),
  };
  setHandler(stateQuery, () => stateOf(shell.run, shell.phase, shell.rejected));
  setHandler(pendingQuery, () => pendingOf(shell.run));
  setHandler(usageQuery, () => usageOf(shell.run));
  for (const kind of Object.keys(RUN_MESSAGES) as RunMessageKind[]) registerMessage(shell, kind);
  return shell;
}

/** Folds an observation into the shell's run. */
export function observe(shell: Shell, observation: Observation): void {
  shell.run = evolve(shell.run, observation);
}

/** Handlers only record; the loop acts. The same id sent twice, as an update or as a signal, is applied once. */
function registerMessage(shell: Shell, kind: RunMessageKind): void {
  const { update, signal } = RUN_MESSAGES[kind];
  const toMessage = (body: object): RunMessage => ({ ...body, kind }) as RunMessage;
  setHandler(
    update,
    (body: object): MessageReceipt => {
      const message = toMessage(body);
      if (isApplied(shell.run, message.id)) return { result: 'already-applied' };
      observe(shell, { kind: 'message-received', message });
      return { result: 'applied' };
    },
    {
      validator: (body: object): void => {
        const problem = messageProblem(shell.run, toMessage(body));
        if (problem === null) return;
        throw ApplicationFailure.create({ message: `${kind}: ${problem}`, type: 'validation', nonRetryable: true });
      },
    },
  );
  setHandler(signal, (body: object): void => {
    const message = toMessage(body);
    const problem = messageProblem(shell.run, message);
    if (problem === null) return observe(shell, { kind: 'message-received', message });
    // A signal comes as it was sent: the id may be of any type.
    const id: unknown = message.id;
    shell.rejected.push({ id: typeof id === 'string' ? id.slice(0, LIMITS.messageIdLengthMax) : '', kind, problem });
    shell.rejected.splice(0, shell.rejected.length - LIMITS.rejectedMessagesShown);
  });
}
