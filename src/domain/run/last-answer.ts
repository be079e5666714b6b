import { LIMITS } from './limits.ts';
import type { RunPlan } from './plan.ts';
import type { Run } from './run.ts';

/**
 * How a model call relates to the run's last answer. `keep`: it must leave the money of one. `last-turn`: it is the last that the limit of turns allows,
 * so it may only answer.
 */
export type LastAnswer = 'keep' | 'last-turn';

/** What the model is told before its last answer: it cannot know what the run may use. It speaks of this call alone, because a later run may read it. */
export const LAST_ANSWER_GUIDANCE =
  'The budget of this task is used up, so this call can only answer: no tool can be called in it. Answer now, briefly, with what you have, and say what is missing.';

/**
 * Says what a run's next model call has to keep in mind of its last answer; null where nothing. A run that waits for a top-up needs no last answer, and one of
 * a single turn has no turn to give away.
 */
export function lastAnswerOf(run: Run, { holdsBack, limits, repairsLast }: RunPlan): LastAnswer | null {
  if (holdsBack !== true || run.start.whenExhausted === 'wait') return null;
  const turnsMax = Math.min(limits.turns, LIMITS.turnsMax);
  const isMending = repairsLast === true && (run.repairs ?? 0) > 0 && run.turn >= turnsMax;
  return (turnsMax > 1 && run.turn + 1 === turnsMax) || isMending ? 'last-turn' : 'keep';
}
