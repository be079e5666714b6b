/**
 * Goal: what is reserved before a call is enough whatever the call uses, and no pico-dollar is lost in writing.
 * Method: random prices, bounds and usages within the bounds.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  costOf,
  formatUsd,
  picoFromUsd,
  worstCost,
  type ModelPrice,
  type TokenPrices,
} from '../../src/domain/model/price.ts';
import { addUsage, NO_USAGE, totalTokens, type Usage } from '../../src/domain/model/usage.ts';

const amount = fc.bigInt({ min: 0n, max: 1_000_000_000n });
const tokens = fc.nat({ max: 2_000_000 });
const prices: fc.Arbitrary<TokenPrices> = fc.record({
  input: amount,
  output: amount,
  cacheRead: amount,
  cacheWrite: amount,
  reasoning: amount,
});
const price: fc.Arbitrary<ModelPrice> = fc.record({
  base: prices,
  tiers: fc.array(fc.record({ inputTokensAbove: tokens, prices }), { maxLength: 3 }),
  batchPerMille: fc.constant(500n),
  version: fc.constant('v'),
});
/** The cached kinds are parts of the input, reasoning is part of the output. */
const usage: fc.Arbitrary<Usage> = fc
  .tuple(tokens, tokens, fc.nat({ max: 100 }), fc.nat({ max: 100 }), fc.nat({ max: 100 }))
  .map(([inputTokens, outputTokens, read, write, reasoning]) => {
    const cacheReadTokens = Math.floor((inputTokens * read) / 100);
    return {
      inputTokens,
      outputTokens,
      cacheReadTokens,
      cacheWriteTokens: Math.floor(((inputTokens - cacheReadTokens) * write) / 100),
      reasoningTokens: Math.floor((outputTokens * reasoning) / 100),
    };
  });

describe('money', () => {
  it('never costs more than was reserved', () => {
    fc.assert(
      fc.property(price, usage, tokens, tokens, (model, used, moreInput, moreOutput) => {
        const bound = { inputTokens: used.inputTokens + moreInput, outputTokens: used.outputTokens + moreOutput };
        assert.ok(costOf(model, used) <= worstCost(model, bound));
        assert.ok(costOf(model, used) >= 0n);
      }),
    );
  });

  it('takes the prices of the highest tier that the input is above', () => {
    const tiers = [
      { inputTokensAbove: 200, prices: flat(3n) },
      { inputTokensAbove: 100, prices: flat(2n) },
    ];
    const model: ModelPrice = { base: flat(1n), tiers, batchPerMille: 500n, version: 'v' };
    const costs = [100, 101, 200, 201].map((inputTokens) => costOf(model, { ...NO_USAGE, inputTokens }));
    assert.deepEqual(costs, [100n, 202n, 400n, 603n]);
  });

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), (pico) => {
        const text = formatUsd(pico);
        assert.match(text, /^-?\d+\.\d{2,12}$/);
        assert.doesNotMatch(text, /\.\d{2}\d*0$/);
        const digits = text.replace('-', '').replace(/\.(\d+)$/, (_, decimals: string) => decimals.padEnd(12, '0'));
        assert.equal(BigInt(digits) * (pico < 0n ? -1n : 1n), pico);
      }),
    );
  });

  const written: readonly (readonly [bigint, string])[] = [
    [0n, '0.00'],
    [1n, '0.000000000001'],
    [120_000_000n, '0.00012'],
    [100_000_000_000n, '0.10'],
    [1_000_000_000_000n, '1.00'],
    [-2_500_000_000_000n, '-2.50'],
  ];
  for (const [pico, text] of written) it(`is written as ${text}`, () => assert.equal(formatUsd(pico), text));

  it('turns what a person writes into whole nano-dollars', () => {
    fc.assert(
      fc.property(fc.nat({ max: 100_000_000 }), (cents) =>
        assert.equal(picoFromUsd(cents / 100), BigInt(cents) * 10n ** 10n),
      ),
    );
  });

  it('adds usage kind by kind', () => {
    fc.assert(
      fc.property(usage, usage, (a, b) => {
        assert.equal(totalTokens(addUsage(a, b)), totalTokens(a) + totalTokens(b));
        assert.deepEqual(addUsage(a, NO_USAGE), a);
      }),
    );
  });
});

function flat(each: bigint): TokenPrices {
  return { input: each, output: each, cacheRead: each, cacheWrite: each, reasoning: each };
}
