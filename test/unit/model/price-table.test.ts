// Goal: a call costs what the provider's price list says, to the last digit, and an unknown model has no price.
// Method: known calls, and recorded usage objects with their cost where the third-party cases are at hand.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { normaliseUsage } from '../../../src/activities/model/normalise-usage.ts';
import { ceilingPrice, priceOfModel, simulatedPrice } from '../../../src/domain/model/price-table.ts';
import { costOf, type ModelPrice } from '../../../src/domain/model/price.ts';
import { NO_USAGE, type Usage } from '../../../src/domain/model/usage.ts';

type WireUsage = {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number };
};

function read(raw: WireUsage & { readonly total_tokens?: number }): Usage | null {
  const {
    prompt_tokens: total,
    completion_tokens: written,
    prompt_tokens_details: input,
    completion_tokens_details: output,
  } = raw;
  return normaliseUsage({
    inputTokens: { total, noCache: undefined, cacheRead: input?.cached_tokens, cacheWrite: undefined },
    outputTokens: { total: written, text: undefined, reasoning: output?.reasoning_tokens },
    raw,
  });
}

function price(model: string): ModelPrice {
  return priceOfModel(model) ?? assert.fail(`${model} has no price`);
}

describe('the price table', () => {
  it('charges cached input less', () => {
    const usage = { ...NO_USAGE, inputTokens: 1000, cacheReadTokens: 600, outputTokens: 100 };
    assert.equal(costOf(price('gpt-5-mini'), usage), 400n * 250_000n + 600n * 25_000n + 100n * 2_000_000n);
  });

  it('knows dated names and other names', () => {
    assert.deepEqual(priceOfModel('gpt-5-mini-2025-08-07'), priceOfModel('gpt-5-mini'));
    assert.deepEqual(priceOfModel('gpt-5.6'), priceOfModel('gpt-5.6-sol'));
  });

  it('charges the long-context prices above their limit, for the whole call', () => {
    const model = price('gpt-5.4');
    assert.equal(costOf(model, { ...NO_USAGE, inputTokens: 272_000 }), 272_000n * 2_500_000n);
    assert.equal(costOf(model, { ...NO_USAGE, inputTokens: 272_001 }), 272_001n * 5_000_000n);
  });

  it('has no price for a model it does not know', () => {
    for (const name of ['gpt-9', 'constructor', '__proto__', '']) assert.equal(priceOfModel(name), null);
  });

  it('prices simulations like gpt-5-mini, under a name of their own', () => {
    assert.deepEqual(simulatedPrice().base, price('gpt-5-mini').base);
    assert.notEqual(simulatedPrice().version, price('gpt-5-mini').version);
  });

  it('charges a ceiling for every kind of token', () => {
    const usage = { inputTokens: 10, outputTokens: 10, cacheReadTokens: 5, cacheWriteTokens: 2, reasoningTokens: 3 };
    assert.equal(costOf(ceilingPrice(2.5), usage), 20n * 2_500_000n);
  });

  it('agrees with recorded usage', function () {
    const file = join(process.env['PERDURE_CASES'] ?? '../shared/cases', 'cost/usage_vectors.json');
    if (!existsSync(file)) this.skip();
    type Vector = {
      provider: string;
      api: string;
      model: string;
      body: { usage: WireUsage };
      usd_input: string;
      usd_output: string;
    };
    const vectors = (JSON.parse(readFileSync(file, 'utf8')) as Vector[]).filter(
      ({ provider, api }) => provider === 'openai' && api === 'chat',
    );
    const priced = vectors.filter(({ model }) => priceOfModel(model) !== null);
    assert.ok(priced.length >= 10, `${priced.length} of ${vectors.length}`);
    for (const { model, body, usd_input, usd_output } of priced) {
      const usage = read(body.usage) ?? assert.fail(model);
      assert.equal(
        costOf(price(model), usage),
        pico(usd_input) + pico(usd_output),
        `${model} ${JSON.stringify(body.usage)}`,
      );
    }
  });
});

describe('normaliseUsage', () => {
  it('counts reasoning once, inside the output', () => {
    const inside = read({
      prompt_tokens: 10,
      completion_tokens: 78,
      completion_tokens_details: { reasoning_tokens: 64 },
      total_tokens: 88,
    });
    assert.deepEqual([inside?.outputTokens, inside?.reasoningTokens], [78, 64]);
    const outside = read({
      prompt_tokens: 10,
      completion_tokens: 78,
      completion_tokens_details: { reasoning_tokens: 64 },
      total_tokens: 152,
    });
    assert.deepEqual([outside?.outputTokens, outside?.reasoningTokens], [142, 64]);
  });

  it('refuses what cannot be', () => {
    assert.equal(read({ prompt_tokens: 0, completion_tokens: 5 }), null);
    assert.equal(read({ prompt_tokens: 5, completion_tokens: -1 }), null);
    assert.equal(read({ prompt_tokens: 5, completion_tokens: Number.NaN }), null);
  });
});

function pico(usd: string): bigint {
  const [whole = '0', decimals = ''] = usd.split('.');
  return BigInt(whole) * 10n ** 12n + BigInt(decimals.padEnd(12, '0').slice(0, 12));
}
