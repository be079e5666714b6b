// Goal: what is reserved for a call is a little above what it uses, learns from what was counted, and never more than its bounds.
// Method: tables, and a long row of calls drawn from a fixed series.
import assert from 'node:assert/strict';
import { calibrate, type Calibration, estimateTokens, isWellKnown } from '../../../src/domain/quota/token-estimate.ts';

const size = (bytes: number, outputTokensMax = 1_000, fileTokens = 0) => ({ bytes, fileTokens, outputTokensMax });

describe('token estimates', () => {
  it('reserves the longest reply and 2.5 bytes a token before anything was counted', () => {
    assert.deepEqual(estimateTokens(undefined, size(10_000)), { input: 4_000, output: 1_000, inputLeast: 1_250 });
  });

  it('takes the first count for a mean with a deviation', () => {
    const known = calibrate(undefined, size(10_000), { input: 2_000, output: 100 });
    assert.deepEqual(estimateTokens(known, size(10_000)), { input: 2_500, output: 550, inputLeast: 1_000 });
  });

  it('does not take one short reply for a rule', () => {
    let known = calibrate(undefined, size(1_000, 4_000), { input: 250, output: 1 });
    assert.ok(estimateTokens(known, size(1_000, 4_000)).output >= 2_000);
    for (let call = 0; call < 20; call += 1) known = calibrate(known, size(1_000, 4_000), { input: 250, output: 100 });
    assert.ok(estimateTokens(known, size(1_000, 4_000)).output < 250, 'after twenty it is one');
  });

  it('reserves a tenth of what files can cost before it is known, and learns what they do, and nothing about bytes', () => {
    const withFile = size(1_000, 10, 50_000);
    assert.deepEqual(estimateTokens(undefined, withFile), { input: 5_400, output: 10, inputLeast: 125 });
    let known = calibrate(undefined, withFile, { input: 1_750, output: 5 });
    assert.equal(known.tokensPerByte, null);
    for (let call = 0; call < 10; call += 1) known = calibrate(known, withFile, { input: 1_750, output: 5 });
    const { input } = estimateTokens(known, withFile);
    assert.ok(input > 1_750 && input < 2_500, `${input}`);
  });

  it('is known well after some calls only', () => {
    let known: Calibration | undefined;
    for (let call = 0; call < 31; call += 1) known = calibrate(known, size(1_000), { input: 250, output: 100 });
    assert.equal(isWellKnown(known), false);
    assert.equal(isWellKnown(calibrate(known, size(1_000), { input: 250, output: 100 })), true);
  });

  it('reserves no more output than the model may write', () => {
    const known = calibrate(undefined, size(1_000), { input: 250, output: 900 });
    assert.equal(estimateTokens(known, size(1_000, 950)).output, 950);
  });

  it('is above what most calls of uneven length use, and not far above', () => {
    let seed = 42;
    const next = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    let known: Calibration | undefined;
    let [under, reserved, used] = [0, 0, 0];
    for (let call = 0; call < 2_000; call += 1) {
      const bytes = Math.round(2_000 + 20_000 * next());
      const actual = { input: Math.round(bytes / (3.5 + next())), output: Math.round(100 + 300 * next()) };
      if (call >= 50) {
        const { input, output } = estimateTokens(known, size(bytes));
        if (input + output < actual.input + actual.output) under += 1;
        reserved += input + output;
        used += actual.input + actual.output;
      }
      known = calibrate(known, size(bytes), actual);
    }
    assert.ok(under / 1_950 < 0.05, `${under} of 1950 calls used more than was reserved`);
    assert.ok(reserved / used < 1.35, `${reserved / used} times what was used`);
  });
});
