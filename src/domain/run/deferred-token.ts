/** What a token says of itself: which call of which run it stands for. Only its last part is secret. */
export type DeferredPlace = { readonly runId: string; readonly turn: number; readonly index: number };

/** Run, turn and call, so that a client finds the run by the token alone, and a secret that nobody can guess. */
const TOKEN = /^(\S{1,200})_(\d{1,6})_(\d{1,4})_([0-9A-Za-z]{22})$/;

/**
 * Makes the token of a deferred call. It has neither spaces nor a leading dash, and may stand in an address or on a command line.
 *
 * @param secret 22 letters and digits of 131 random bits.
 */
export function makeDeferredToken({ runId, turn, index }: DeferredPlace, secret: string): string {
  return `${runId}_${turn}_${index}_${secret}`;
}

/** Reads which call a token stands for; null when it is no token. That it is genuine is another question. */
export function readDeferredToken(token: unknown): DeferredPlace | null {
  const [, runId = '', turn = '', index = ''] = (typeof token === 'string' && TOKEN.exec(token)) || [];
  return runId === '' ? null : { runId, turn: Number(turn), index: Number(index) };
}
