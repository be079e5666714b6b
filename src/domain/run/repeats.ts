import { contentHash } from '../sha-256.ts';
import { LIMITS } from './limits.ts';
import type { RepliedCall } from './results.ts';
import type { Run } from './run.ts';

/**
 * Notes what the model asked for and whether it repeats itself: the same calls with the same arguments turn after turn. First it is
 * told, then the run ends. Anything a person says starts the count anew. Tools that wait for something may be called alike.
 */
export function evolveRepeats(run: Run, calls: readonly RepliedCall[]): Run {
  const isNone = calls.every(({ tool }) => run.plan?.exit?.polls?.includes(tool) === true);
  const fingerprint = isNone ? '' : contentHash(calls.map(({ tool, argsHash }) => [tool, argsHash]));
  if (fingerprint === '' || fingerprint !== run.repeated.fingerprint) {
    return { ...run, repeated: { fingerprint, times: fingerprint === '' ? 0 : 1 } };
  }
  const times = run.repeated.times + 1;
  const next: Run = { ...run, repeated: { fingerprint, times } };
  const tools = calls.map((call) => call.tool).join(', ');
  if (times >= LIMITS.repeatsToEnd && !isClosable(run)) {
    const message = `the model made the same call ${times} times in a row: ${tools}`;
    return { ...next, outcome: { kind: 'failed', cause: 'model-error', message } };
  }
  if (times !== LIMITS.repeatsToGuide) return next;
  const text = `You have made the same call ${times} times in a row (${tools}). Its result will not change: use what you have, or try something else.`;
  return {
    ...next,
    waiting: [...next.waiting, { kind: 'guidance', id: `perdure:repeat-${run.turn}`, text, principal: 'perdure' }],
  };
}

/** The run is asked for an answer instead, unless it was and gave none. Plans of earlier builds ask for none. */
function isClosable({ plan, exit }: Run): boolean {
  return plan?.exit?.polls !== undefined && (exit?.closings ?? 0) < LIMITS.closingsMax;
}
