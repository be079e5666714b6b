import type { Decision } from './decision.ts';
import type { Run } from './run.ts';

export const PHASES = ['running', 'waiting', 'blocked', 'paused', 'ended'] as const;

/** What the run is doing, in one word: `waiting` is for a person, `blocked` for something that must be mended. */
export type Phase = (typeof PHASES)[number];

/** Tells the phase of a run that is about to do what was decided. */
export function phaseOf(run: Run, decision: Decision): Phase {
  if (decision.kind === 'end') return 'ended';
  if (decision.kind === 'pause') return 'paused';
  if (run.blocked !== null) return 'blocked';
  if (decision.kind === 'await-human') return decision.wait.kind === 'unknown-effect' ? 'blocked' : 'waiting';
  return decision.kind === 'await-approval' ? 'waiting' : 'running';
}
