/** Names a call to its provider, and to whoever records it. */
export const REQUEST_ID_HEADER = 'x-client-request-id';

/** Where in which run a call belongs. */
export type RunPosition = { readonly run: string; readonly turn: number };

/** Reads the run and the turn out of the id of an attempt, as `attemptId` makes it. Null for any other text. */
export function callOf(requestId: string | null): RunPosition | null {
  const [, run, turn] = /^([\w-]{22})-(\d+)-/.exec(requestId ?? '') ?? [];
  return run === undefined ? null : { run, turn: Number(turn) };
}

/** Reads the activity and its attempt out of the same id: calls of one attempt have both in common. */
export function attemptOf(requestId: string): { readonly activity: string; readonly attempt: number } {
  const [, activity = requestId, attempt = '0'] = /^([\w-]{22}-\d+-.+)-(\d+)-[^-]*$/.exec(requestId) ?? [];
  return { activity, attempt: Number(attempt) };
}
