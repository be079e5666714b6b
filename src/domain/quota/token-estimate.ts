/** What the last calls of a model tell about the next one; null what was never counted. `deviation` is the mean distance from the mean. */
export type Calibration = { readonly tokensPerByte: Spread | null; readonly outputTokens: Spread | null };

type Spread = { readonly mean: number; readonly deviation: number };

/** Bytes, files and bound of a call that is about to be made. */
export type CallSize = { readonly bytes: number; readonly fileTokens: number; readonly outputTokensMax: number };

/** Before anything was counted: 2.5 bytes a token, which is denser than prose, code and JSON are. */
const UNCOUNTED_TOKENS_PER_BYTE = 0.4;

/** How far the first count is taken to be from the next: prompts of an agent are of one kind, replies are not. */
const FIRST_DEVIATION = { tokensPerByte: 1 / 8, outputTokens: 1 / 2 };

/** How far above the mean is reserved: about 95 of 100 calls use less. */
const DEVIATIONS = 2;

/** Weights of the newest call. @see RFC 6298, which estimates round trips in this way. */
const MEAN_GAIN = 1 / 8;
const DEVIATION_GAIN = 1 / 4;

/** Estimates the tokens of a call a little above what it should use; what is over is given back when it is known. */
export function estimateTokens(known: Calibration | undefined, { bytes, fileTokens, outputTokensMax }: CallSize) {
  const { tokensPerByte = null, outputTokens = null } = known ?? {};
  const perByte = tokensPerByte === null ? UNCOUNTED_TOKENS_PER_BYTE : high(tokensPerByte);
  const input = Math.ceil(bytes * perByte) + fileTokens;
  const output = outputTokens === null ? outputTokensMax : Math.min(outputTokensMax, Math.ceil(high(outputTokens)));
  return { input, output };
}

/** Learns from what a provider counted. Files are counted by rules of their own, so that a call with files says nothing of bytes. */
export function calibrate(
  known: Calibration | undefined,
  { bytes, fileTokens }: CallSize,
  actual: { readonly input: number; readonly output: number },
): Calibration {
  const { tokensPerByte = null, outputTokens = null } = known ?? {};
  return {
    tokensPerByte:
      bytes === 0 || fileTokens > 0
        ? tokensPerByte
        : learn(tokensPerByte, actual.input / bytes, FIRST_DEVIATION.tokensPerByte),
    outputTokens: learn(outputTokens, actual.output, FIRST_DEVIATION.outputTokens),
  };
}

function high({ mean, deviation }: Spread): number {
  return mean + DEVIATIONS * deviation;
}

function learn(known: Spread | null, sample: number, firstDeviation: number): Spread {
  if (known === null) return { mean: sample, deviation: sample * firstDeviation };
  const { mean, deviation } = known;
  return {
    deviation: deviation + DEVIATION_GAIN * (Math.abs(sample - mean) - deviation),
    mean: mean + MEAN_GAIN * (sample - mean),
  };
}
