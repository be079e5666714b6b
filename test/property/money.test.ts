/**
 * Goal: what is reserved before a call is enough whatever the call uses, and no pico-dollar is lost in writing.
 * Method: random prices, bounds and usages within the bounds.
 */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  batchCostOf,
  costOf,
  costOfReply,
  costParts,
  formatUsd,
  picoFromUsd,
  worstCost,
  type ModelPrice,
  type TokenPrices,
} from '../../src/domain/model/price.ts';
import {
  addUsage,
  detailsOf,
  isPossible,
  NO_USAGE,
  totalTokens,
  type Usage,
  USAGE_DETAILS,
} from '../../src/domain/model/usage.ts';

const amount = fc.bigInt({ min: 0n, max: 1_000_000_000n });
const tokens = fc.nat({ max: 2_000_000 });
const prices: fc.Arbitrary<TokenPrices> = fc.record(
  {
    input: amount,
    output: amount,
    cacheRead: amount,
    cacheWrite: amount,
    reasoning: amount,
    cacheWriteHour: amount,
    audioInput: amount,
    audioCacheRead: amount,
    audioOutput: amount,
    imageInput: amount,
    imageCacheRead: amount,
    imageOutput: amount,
    videoInput: amount,
    videoCacheRead: amount,
    videoOutput: amount,
    citation: amount,
  },
  { requiredKeys: ['input', 'output', 'cacheRead', 'cacheWrite', 'reasoning'] },
);
const price: fc.Arbitrary<ModelPrice> = fc.record(
  {
    base: prices,
    tiers: fc.array(fc.record({ inputTokensAbove: tokens, prices }), { maxLength: 3 }),
    perRequest: amount,
    perWebSearch: amount,
    batchPerMille: fc.constant(500n),
    version: fc.constant('v'),
  },
  { requiredKeys: ['base', 'tiers', 'batchPerMille', 'version'] },
);

/** Cuts a number into pieces by random weights; the last weight is what is left over. */
function pieces(whole: number, weights: readonly number[]): readonly number[] {
  const sum = weights.reduce((total, weight) => total + weight, 1);
  return weights.map((weight) => Math.floor((whole * weight) / sum));
}

const weights = (length: number) => fc.array(fc.nat({ max: 9 }), { minLength: length, maxLength: length });

/** What can be: every kind is a part of the input, of the cache or of the output. */
const usage: fc.Arbitrary<Usage> = fc
  .tuple(tokens, tokens, weights(5), weights(3), weights(5), fc.nat({ max: 5 }), fc.nat({ max: 100 }))
  .map(([inputTokens, outputTokens, parts, cached, written, searches, hour]) => {
    const [read = 0, write = 0, audio = 0, image = 0, video = 0] = pieces(inputTokens, parts);
    const [audioRead = 0, imageRead = 0, videoRead = 0] = pieces(read, cached);
    const [reasoning = 0, audioOut = 0, imageOut = 0, videoOut = 0, citation = 0] = pieces(outputTokens, written);
    return {
      inputTokens,
      outputTokens,
      cacheReadTokens: read,
      cacheWriteTokens: write,
      reasoningTokens: reasoning,
      ...detailsOf(
        (kind) =>
          ({
            cacheWriteHourTokens: Math.floor((write * hour) / 100),
            audioInputTokens: audio + audioRead,
            audioCacheReadTokens: audioRead,
            audioOutputTokens: audioOut,
            imageInputTokens: image + imageRead,
            imageCacheReadTokens: imageRead,
            imageOutputTokens: imageOut,
            videoInputTokens: video + videoRead,
            videoCacheReadTokens: videoRead,
            videoOutputTokens: videoOut,
            citationTokens: citation,
            webSearches: searches,
          })[kind],
      ),
    };
  });

/** Whatever a server may say, whether or not it can be. */
const anyUsage: fc.Arbitrary<Usage> = fc
  .tuple(fc.array(tokens, { minLength: 5, maxLength: 5 }), fc.array(tokens, { minLength: 12, maxLength: 12 }))
  .map(
    ([
      [inputTokens = 0, outputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0, reasoningTokens = 0],
      details,
    ]) => ({
      inputTokens,
      outputTokens,
      cacheReadTokens,
      cacheWriteTokens,
      reasoningTokens,
      ...detailsOf((kind) => details[USAGE_DETAILS.indexOf(kind)] ?? 0),
    }),
  );

describe('money', () => {
  it('never costs more than was reserved', () => {
    fc.assert(
      fc.property(price, fc.oneof(usage, anyUsage), tokens, tokens, (model, used, moreInput, moreOutput) => {
        const bound = {
          inputTokens: used.inputTokens + moreInput,
          outputTokens: used.outputTokens + moreOutput,
          webSearches: used.webSearches ?? 0,
        };
        assert.ok(costOf(model, used) <= worstCost(model, bound));
        assert.ok(costOf(model, used) >= 0n);
      }),
    );
  });

  it('costs at most what a reply without usage is charged', () => {
    fc.assert(
      fc.property(price, usage, (model, used) => {
        const cost = costOf(model, used);
        assert.equal(costOfReply(model, { usage: used, usageEstimated: false }), cost);
        assert.ok(costOfReply(model, { usage: used, usageEstimated: true }) >= cost);
      }),
    );
  });

  it('costs what its parts cost, and charges every token once', () => {
    fc.assert(
      fc.property(price, usage, (model, used) => {
        assert.ok(isPossible(used));
        const { input, output, other } = costParts(model, used);
        assert.equal(costOf(model, used), input + output + other);
        const flatPrice: ModelPrice = { ...model, base: flat(7n), tiers: [] };
        const extra = (model.perRequest ?? 0n) + BigInt(used.webSearches ?? 0) * (model.perWebSearch ?? 0n);
        assert.equal(costOf(flatPrice, used), BigInt(totalTokens(used)) * 7n + extra);
      }),
    );
  });

  it('costs two calls as much as their sum, where longer prompts cost no more', () => {
    fc.assert(
      fc.property(price, usage, usage, (model, a, b) => {
        const plain = { ...model, tiers: [], perRequest: 0n };
        assert.equal(costOf(plain, addUsage(a, b)), costOf(plain, a) + costOf(plain, b));
      }),
    );
  });

  it('costs no less for more tokens of a kind', () => {
    fc.assert(
      fc.property(price, usage, tokens, fc.constantFrom(...GROWTHS), (model, used, more, grow) => {
        const plain = { ...model, tiers: [] };
        assert.ok(costOf(plain, grow(used, more)) >= costOf(plain, used));
      }),
    );
  });

  it('costs a share of it in the batch lane, in whole pico-dollars, with what a request costs besides', () => {
    fc.assert(
      fc.property(price, usage, fc.nat({ max: 1000 }), (model, used, perMille) => {
        const lane = { ...model, batchPerMille: BigInt(perMille) };
        const { input, output, other } = costParts(lane, used);
        const exact = (input + output) * BigInt(perMille);
        const cost = batchCostOf(lane, used) - other;
        assert.ok(cost * 1000n >= exact && cost * 1000n < exact + 1000n);
      }),
    );
  });

  it('takes no token from a kind with a price for one without', () => {
    const model: ModelPrice = {
      base: { ...flat(1n), audioOutput: 9n, audioInput: 7n },
      tiers: [],
      batchPerMille: 500n,
      version: 'v',
    };
    const used = { ...NO_USAGE, inputTokens: 100, cacheReadTokens: 60, cacheWriteTokens: 30, audioInputTokens: 50 };
    assert.equal(costParts(model, used).input, 50n * 7n + 50n);
    const written = { ...NO_USAGE, outputTokens: 100, reasoningTokens: 60, audioOutputTokens: 50 };
    assert.equal(costParts(model, written).output, 50n * 9n + 50n);
  });

  it('charges each kind at its own price', () => {
    for (const [kind, used] of KINDS) {
      const model: ModelPrice = { base: { ...flat(1n), [kind]: 1000n }, tiers: [], batchPerMille: 500n, version: 'v' };
      assert.equal(costOf(model, used), 1n * 90n + 1000n * 10n, kind);
    }
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

/** Ways in which a call can have used more. */
const GROWTHS: readonly ((used: Usage, more: number) => Usage)[] = [
  (used, more) => ({ ...used, inputTokens: used.inputTokens + more }),
  (used, more) => ({ ...used, outputTokens: used.outputTokens + more }),
  (used, more) => ({
    ...used,
    inputTokens: used.inputTokens + more,
    cacheReadTokens: used.cacheReadTokens + more,
  }),
  (used, more) => ({
    ...used,
    inputTokens: used.inputTokens + more,
    cacheWriteTokens: used.cacheWriteTokens + more,
    cacheWriteHourTokens: (used.cacheWriteHourTokens ?? 0) + more,
  }),
  (used, more) => ({
    ...used,
    outputTokens: used.outputTokens + more,
    reasoningTokens: used.reasoningTokens + more,
  }),
  (used, more) => ({
    ...used,
    inputTokens: used.inputTokens + more,
    audioInputTokens: (used.audioInputTokens ?? 0) + more,
  }),
  (used, more) => ({ ...used, webSearches: (used.webSearches ?? 0) + more }),
];

const READ: Usage = { ...NO_USAGE, inputTokens: 100 };
const CACHED: Usage = { ...READ, cacheReadTokens: 10 };
const WRITTEN: Usage = { ...NO_USAGE, outputTokens: 100 };

/** Ten tokens of a kind among a hundred. */
const KINDS: readonly (readonly [keyof TokenPrices, Usage])[] = [
  ['cacheRead', CACHED],
  ['cacheWrite', { ...READ, cacheWriteTokens: 10 }],
  ['cacheWriteHour', { ...READ, cacheWriteTokens: 30, cacheWriteHourTokens: 10 }],
  ['audioInput', { ...READ, audioInputTokens: 10 }],
  ['audioCacheRead', { ...CACHED, audioInputTokens: 10, audioCacheReadTokens: 10 }],
  ['imageInput', { ...READ, imageInputTokens: 10 }],
  ['imageCacheRead', { ...CACHED, imageInputTokens: 10, imageCacheReadTokens: 10 }],
  ['videoInput', { ...READ, videoInputTokens: 10 }],
  ['videoCacheRead', { ...CACHED, videoInputTokens: 10, videoCacheReadTokens: 10 }],
  ['reasoning', { ...WRITTEN, reasoningTokens: 10 }],
  ['audioOutput', { ...WRITTEN, audioOutputTokens: 10 }],
  ['imageOutput', { ...WRITTEN, imageOutputTokens: 10 }],
  ['videoOutput', { ...WRITTEN, videoOutputTokens: 10 }],
  ['citation', { ...WRITTEN, citationTokens: 10 }],
];

function flat(each: bigint): TokenPrices {
  return { input: each, output: each, cacheRead: each, cacheWrite: each, reasoning: each };
}
