import { condition } from '@temporalio/workflow';
import type { Decision } from '../domain/run/decision.ts';
import { dueCall } from '../domain/run/deferred-calls.ts';
import { LIMITS } from '../domain/run/limits.ts';
import type { Observation } from '../domain/run/observation.ts';
import type { DeferredCall } from '../domain/run/run.ts';
import { rows } from './activity-options.ts';
import { observe, type Shell } from './shell.ts';
import { untilCalledOff } from './until-called-off.ts';

type AwaitDeferred = Decision & { readonly kind: 'await-deferred' };
type ToolsCalled = Observation & { readonly kind: 'tools-called' };

/**
 * Waits for the first result from outside, or for the first deadline, and has what came written. The deadlines are fixed moments: what is
 * said meanwhile, or a pause, gives no call more time.
 */
export async function awaitDeferred(shell: Shell, { turn, calls }: AwaitDeferred): Promise<Observation> {
  const due = (): DeferredCall | undefined => dueCall(shell.run.calls, Date.now());
  if (due() === undefined) {
    const [first] = calls.toSorted((a, b) => a.deferred.deadlineAt - b.deferred.deadlineAt);
    if (first === undefined) throw new Error(`turn ${turn} has no deferred call`);
    const summary = `turn ${turn}: the time of ${first.tool} is over`;
    await condition(() => due() !== undefined || isWoken(shell), remainingMs(first), { summary });
  }
  const call = due();
  // The loop looks again: it knows what to do about a message, a pause or a stop.
  if (call === undefined || shell.run.stop !== null) return { kind: 'called-off' };
  observe(shell, { kind: 'deferred-settling', index: call.index });
  return (await untilCalledOff(shell, () => settle(shell, turn, call))) ?? { kind: 'called-off' };
}

async function settle({ run }: Shell, turn: number, call: DeferredCall): Promise<Observation> {
  const { token, completion = null } = call.deferred;
  const { tenant } = run.start;
  const summary = `turn ${turn}: ${call.tool} ${completion === null ? 'is given up' : 'has its result'}`;
  const patience = run.blocked === null ? {} : ({ patient: true } as const);
  const ref = await rows(run, summary).settleDeferred({ tenant, turn, token, completion, ...patience });
  return { kind: 'deferred-settled', index: call.index, ref };
}

/** Shows among the rejected messages the results that came before their call had begun, and that were not its own. */
export function rejectForeignResults(shell: Shell, { results }: ToolsCalled): void {
  for (const { index, result } of results) {
    // Nobody knows yet whether the call has begun what the result is of.
    if (result.outcome === 'unknown') continue;
    const call = shell.run.calls.find((each) => each.index === index);
    for (const { id, token } of call?.early ?? []) {
      if (result.outcome === 'deferred' && result.token === token) continue;
      const problem = `the token is not the one that ${call?.tool ?? 'the tool'} was given, or the call did not begin`;
      shell.rejected.push({ id, kind: 'completeTool', problem });
    }
  }
  shell.rejected.splice(0, shell.rejected.length - LIMITS.rejectedMessagesShown);
}

function isWoken({ run }: Shell): boolean {
  return run.waiting.length > 0 || run.isPaused || run.stop !== null;
}

function remainingMs({ deferred }: DeferredCall): number {
  return Math.max(1, deferred.deadlineAt - Date.now());
}
