import type { Decision } from './decision.ts';
import type { Run } from './run.ts';

export const PHASES = ['running', 'waiting', 'blocked', 'paused', 'ended'] as const;

/** What the run is doing, in one word: `waiting` is for a person or a deferred tool, `blocked` for something that must be mended. */
export type Phase = (typeof PHASES)[number];

/** Tells the phase of a run that is about to do what was decided. */
export function phaseOf(run: Run, decision: Decision): Phase {
  if (decision.kind === 'end') return 'ended';
  if (decision.kind === 'pause') return 'paused';
  if (run.blocked !== null) return 'blocked';
  if (decision.kind === 'await-human') return decision.wait.kind === 'unknown-effect' ? 'blocked' : 'waiting';
  // A result that is there already is only written down: nobody would see the wait.
  if (decision.kind === 'await-deferred') {
    return decision.calls.some(({ deferred }) => deferred.completion !== undefined) ? 'running' : 'waiting';
  }
  return decision.kind === 'await-approval' ? 'waiting' : 'running';
}
