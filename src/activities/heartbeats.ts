import { Context } from '@temporalio/activity';

/** A beat every half second: four within the heartbeat timeout of 2 s, so that three may be lost to a busy process. */
const BEAT_MS = 500;

const beating = new Set<Context>();
let timer: NodeJS.Timeout | null = null;
let beatAt = 0;
let lateBeats = 0;

/**
 * Runs an activity's work with heartbeats. They come from one timer of the process, never from the work, so that slow work is not
 * taken for a dead worker and a dead worker is noticed within 2 s.
 */
export async function withHeartbeats<Result>(work: () => Promise<Result>): Promise<Result> {
  const context = Context.current();
  beating.add(context);
  context.heartbeat();
  if (timer === null) {
    beatAt = performance.now();
    timer = setInterval(beat, BEAT_MS);
  }
  try {
    return await work();
  } finally {
    beating.delete(context);
    if (beating.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  }
}

/** Counts the beats of this process that came more than a whole beat late: its event loop was blocked, or it was frozen. */
export function countLateBeats(): number {
  return lateBeats;
}

function beat(): void {
  const now = performance.now();
  if (now - beatAt > 2 * BEAT_MS) lateBeats += 1;
  beatAt = now;
  for (const context of beating) context.heartbeat();
}
