import { canonicalJson, utf8Bytes } from '../json.ts';
import { LIMITS } from './limits.ts';
import type { Run } from './run.ts';

/** What a run hands to its next execution. The version lets a later build read what an earlier one wrote. */
export type Continuation = { readonly continuation: 1; readonly run: Run };

/**
 * Packs a run for its next execution. Whatever it holds is bounded, so a continuation that is too large is a mistake of ours.
 *
 * @throws Error when the continuation is over `LIMITS.continuationBytesMax`; the workflow task fails and is tried again on a mended build.
 */
export function packContinuation(run: Run): Continuation {
  const continuation: Continuation = { continuation: 1, run: { ...run, turnsBefore: run.turn } };
  const bytes = utf8Bytes(canonicalJson(continuation));
  if (bytes > LIMITS.continuationBytesMax) {
    throw new Error(`continuation of ${bytes} bytes, at most ${LIMITS.continuationBytesMax} fit`);
  }
  return continuation;
}

/** Unpacks a continuation. */
export function unpackContinuation(continuation: Continuation): Run {
  return continuation.run;
}

/** Tells a continuation from a start. */
export function isContinuation(input: object): input is Continuation {
  return 'continuation' in input;
}
