import { condition } from '@temporalio/workflow';
import type { HumanWait } from '../domain/run/decision.ts';
import type { Observation } from '../domain/run/observation.ts';
import type { Run } from '../domain/run/run.ts';
import type { Shell } from './shell.ts';

/** Waits for a person: costs nothing but a handler, and for a question one timer. */
export async function awaitHuman(shell: Shell, wait: HumanWait): Promise<Observation> {
  if (wait.kind !== 'answer') {
    await condition(() => isWoken(shell.run, wait));
    return { kind: 'human-waited', isOver: false };
  }
  // What is said meanwhile does not restart the question's clock.
  const question = `${shell.run.turn} ${wait.index}`;
  const deadlineAt = shell.questionDeadlines.get(question) ?? Date.now() + wait.deadlineMs;
  shell.questionDeadlines.set(question, deadlineAt);
  const isInTime = await condition(() => isWoken(shell.run, wait), Math.max(1, deadlineAt - Date.now()), {
    summary: 'the question expires',
  });
  return { kind: 'human-waited', isOver: !isInTime };
}

function isWoken(run: Run, wait: HumanWait): boolean {
  if (run.waiting.length > 0 || run.stop !== null) return true;
  // A pause does not restart the clock of a question: the question waits on.
  if (wait.kind === 'answer') return false;
  return run.isPaused || (wait.kind === 'unknown-effect' && run.unknownEffect === null);
}
