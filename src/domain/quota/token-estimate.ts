/** What the last calls of a model tell about the next one; null what was never counted. `deviation` is the mean distance from the mean. */
export type Calibration = {
  readonly tokensPerByte: Spread | null;
  readonly outputTokens: Spread | null;
  /** Of the most that the files of a call can cost, what they did. Missing where no call had files. */
  readonly fileShare?: Spread;
  /** Calls that were counted. Missing in rows of builds before. */
  readonly calls?: number;
};

type Spread = { readonly mean: number; readonly deviation: number };

/** Bytes, files and bound of a call that is about to be made. */
export type CallSize = { readonly bytes: number; readonly fileTokens: number; readonly outputTokensMax: number };

/** Before anything was counted: 2.5 bytes a token, which is denser than prose, code and JSON are. */
const UNCOUNTED_TOKENS_PER_BYTE = 0.4;

/** A token is hardly ever of more bytes, in the mean of a prompt: what is more than a limit by this count is so for certain. */
const LEAST_TOKENS_PER_BYTE = 0.125;

/** The same where tokens were counted, as a share of the mean. */
const LEAST_SHARE = 1 / 2;

/** Share of the most that files can cost, before any were counted: an image takes a thirtieth of it, ten pages a tenth. */
const UNCOUNTED_FILE_SHARE = 0.1;

/**
 * How far the first count is taken to be from the next: prompts of an agent are of one kind, replies are not. A short one may be followed by the
 * longest, so that theirs is a share of the way to it.
 */
const FIRST_DEVIATION = { tokensPerByte: 1 / 8, outputTokens: 1 / 2, toLongest: 1 / 4, fileShare: 1 / 2 };

/** How far above the mean is reserved: about 95 of 100 calls use less. */
const DEVIATIONS = 2;

/** Calls after which what is reserved is near what is used, also where the longest reply is a hundred times the usual one. */
const ENOUGH_CALLS = 32;

/** Weights of the newest call. @see RFC 6298, which estimates round trips in this way. */
const MEAN_GAIN = 1 / 8;
const DEVIATION_GAIN = 1 / 4;

/**
 * Estimates the tokens of a call a little above what it should use; what is over is given back when it is known. `inputLeast` is what its prompt
 * has for certain.
 */
export function estimateTokens(known: Calibration | undefined, { bytes, fileTokens, outputTokensMax }: CallSize) {
  const { tokensPerByte = null, outputTokens = null, fileShare } = known ?? {};
  const perByte = tokensPerByte === null ? UNCOUNTED_TOKENS_PER_BYTE : high(tokensPerByte);
  const files = fileShare === undefined ? UNCOUNTED_FILE_SHARE : Math.min(1, high(fileShare));
  const input = Math.ceil(bytes * perByte) + Math.ceil(fileTokens * files);
  const output = outputTokens === null ? outputTokensMax : Math.min(outputTokensMax, Math.ceil(high(outputTokens)));
  const leastPerByte = tokensPerByte === null ? LEAST_TOKENS_PER_BYTE : tokensPerByte.mean * LEAST_SHARE;
  return { input, output, inputLeast: Math.floor(bytes * leastPerByte) };
}

/** Says whether enough of a model's calls were counted to foretell how long a queue of them takes. */
export function isWellKnown(known: Calibration | undefined): boolean {
  return (known?.calls ?? 0) >= ENOUGH_CALLS;
}

/** Learns from what a provider counted. Files are counted by rules of their own, so that a call with files says nothing of bytes. */
export function calibrate(
  known: Calibration | undefined,
  { bytes, fileTokens, outputTokensMax }: CallSize,
  actual: { readonly input: number; readonly output: number },
): Calibration {
  const { tokensPerByte = null, outputTokens = null, fileShare } = known ?? {};
  const toLongest = Math.max(0, outputTokensMax - actual.output) * FIRST_DEVIATION.toLongest;
  const output = learn(outputTokens, actual.output, Math.max(actual.output * FIRST_DEVIATION.outputTokens, toLongest));
  const calls = (known?.calls ?? 0) + 1;
  if (fileTokens > 0) {
    const words = bytes * (tokensPerByte?.mean ?? UNCOUNTED_TOKENS_PER_BYTE);
    const share = Math.max(0, actual.input - words) / fileTokens;
    return {
      tokensPerByte,
      outputTokens: output,
      calls,
      fileShare: learn(fileShare ?? null, share, share * FIRST_DEVIATION.fileShare),
    };
  }
  const perByte = bytes === 0 ? 0 : actual.input / bytes;
  return {
    ...known,
    tokensPerByte: bytes === 0 ? tokensPerByte : learn(tokensPerByte, perByte, perByte * FIRST_DEVIATION.tokensPerByte),
    outputTokens: output,
    calls,
  };
}

function high({ mean, deviation }: Spread): number {
  return mean + DEVIATIONS * deviation;
}

function learn(known: Spread | null, sample: number, firstDeviation: number): Spread {
  if (known === null) return { mean: sample, deviation: firstDeviation };
  const { mean, deviation } = known;
  return {
    deviation: deviation + DEVIATION_GAIN * (Math.abs(sample - mean) - deviation),
    mean: mean + MEAN_GAIN * (sample - mean),
  };
}
