// Goal: a call costs what the provider's price list says, to the last digit, at the time of the call, and an unknown model has no price.
// Method: known calls, the generated file against the package that it is made from, and that package's own prices as an oracle.
import assert from 'node:assert/strict';
import { calcPrice, findProvider, waitForUpdate } from '@pydantic/genai-prices';
import { generateTables } from '../../../scripts/prices/generate-tables.ts';
import { dayStart } from '../../../src/domain/model/calendar.ts';
import {
  BUILT_IN_PRICES,
  ceilingPrice,
  findPrice,
  listPrices,
  type PriceBook,
  PRICE_TABLE,
  priceOfModel,
  simulatedPrice,
} from '../../../src/domain/model/price-table.ts';
import { costOf, costParts, type ModelPrice } from '../../../src/domain/model/price.ts';
import { NO_USAGE, type Usage } from '../../../src/domain/model/usage.ts';
import { readText } from '../../tidy/repository.ts';

function price(model: string, provider = 'openai', book?: PriceBook): ModelPrice {
  return priceOfModel(provider, model, book) ?? assert.fail(`${model} has no price`);
}

function asOf(moment: string): PriceBook {
  return { file: null, now: () => Date.parse(moment) };
}

function inputAt(moment: string, model: string, provider: string): bigint {
  return price(model, provider, asOf(moment)).base.input;
}

describe('the price table', () => {
  it('charges cached input less', () => {
    const usage = { ...NO_USAGE, inputTokens: 1000, cacheReadTokens: 600, outputTokens: 100 };
    assert.equal(costOf(price('gpt-5-mini'), usage), 400n * 250_000n + 600n * 25_000n + 100n * 2_000_000n);
  });

  it('charges what the cache keeps for an hour more than what it keeps for minutes', () => {
    const usage = { ...NO_USAGE, inputTokens: 1000, cacheWriteTokens: 700, cacheWriteHourTokens: 300 };
    const cost = 300n * 3_000_000n + 400n * 3_750_000n + 300n * 6_000_000n;
    assert.equal(costOf(price('claude-sonnet-4-6', 'anthropic'), usage), cost);
  });

  it('knows dated names and other names', () => {
    assert.deepEqual(price('gpt-5-mini-2025-08-07'), price('gpt-5-mini'));
    assert.deepEqual(price('gpt-5.2-2031-01-02'), price('gpt-5.2'));
    assert.deepEqual(price('GPT-5.6'), price('gpt-5.6-sol'));
    assert.deepEqual(price('claude-sonnet-4-5-20250929', 'anthropic'), price('claude-sonnet-4-5', 'anthropic'));
  });

  it('charges the long-context prices from their limit on, for the whole call', () => {
    const model = price('gpt-5.4');
    assert.equal(costOf(model, { ...NO_USAGE, inputTokens: 271_999 }), 271_999n * 2_500_000n);
    assert.equal(costOf(model, { ...NO_USAGE, inputTokens: 272_000 }), 272_000n * 5_000_000n);
  });

  it('charges what held on the day and at the hour', () => {
    assert.equal(inputAt('2026-12-31T23:59:59.999Z', 'gemini-3.6-flash', 'google'), 750_000n);
    assert.equal(inputAt('2027-01-01T00:00:00Z', 'gemini-3.6-flash', 'google'), 1_500_000n);
    assert.equal(inputAt('2025-06-09T12:00:00Z', 'o3', 'openai'), 10_000_000n);
    assert.equal(inputAt('2026-01-01T16:29:59Z', 'deepseek-reasoner', 'deepseek'), 550_000n);
    assert.equal(inputAt('2026-01-01T16:30:00Z', 'deepseek-reasoner', 'deepseek'), 135_000n);
  });

  it('has no price for a model or a provider that it does not know', () => {
    for (const name of ['gpt-9', 'constructor', '__proto__', '', ' ']) assert.equal(priceOfModel('openai', name), null);
    for (const provider of ['constructor', '__proto__', '', 'nobody']) {
      assert.equal(priceOfModel(provider, 'gpt-5-mini'), null);
    }
    for (const provider of ['ollama', 'vllm', 'lmstudio']) assert.equal(priceOfModel(provider, 'qwen3'), null);
  });

  it('has no price for a model that is listed without one', () => {
    assert.ok(findProvider({ providerId: 'openai' })?.models.some(({ id }) => id === 'whisper-1'));
    assert.equal(priceOfModel('openai', 'whisper-1'), null);
  });

  it('costs nothing where the seller says that it is free of charge, and is unknown where nobody says anything', () => {
    for (const [provider, name] of [
      ['openrouter', 'meta-llama/llama-3.3-70b-instruct:free'],
      ['mistral', 'devstral-small:free'],
      ['google', 'gemma-3-27b-it'],
      ['google', 'models/gemma-4-31b-it'],
    ] as const) {
      const { base, version } = price(name, provider);
      assert.deepEqual([base.input, base.output, version], [0n, 0n, PRICE_TABLE.version], name);
    }
    for (const [provider, name] of [
      ['openrouter', 'google/lyria-3-pro-preview'],
      // Its rule is for every name with the word in it: on a server of one's own it would be free.
      ['openai-compatible', 'my-moderation-model'],
      ['azure', 'my-moderation-deployment'],
      ['cerebras', 'qwen-3-coder-480b'],
      ['openrouter', 'nobody/knows-it:free'],
    ] as const) {
      assert.equal(priceOfModel(provider, name), null, name);
    }
  });

  it('keeps in its lists what has no price, so that no other entry is taken for it', async () => {
    const source = (await waitForUpdate()) ?? [];
    for (const { id, models } of PRICE_TABLE.providers) {
      const theirs = source.find((each) => each.id === id)?.models.map((each) => each.id);
      assert.deepEqual(
        models.map((each) => each.id),
        theirs,
      );
    }
    assert.equal(PRICE_TABLE.providers.length, source.length);
  });

  it('finds the lists of all providers by our names', () => {
    for (const [id, model] of [
      ['openai-responses', 'gpt-5-mini'],
      ['openai-compatible', 'gpt-5-mini'],
      ['anthropic', 'claude-haiku-4-5'],
      ['google', 'gemini-2.5-flash'],
      ['mistral', 'mistral-large-latest'],
      ['groq', 'openai/gpt-oss-120b'],
      ['deepseek', 'deepseek-chat'],
      ['xai', 'grok-4'],
      ['bedrock', 'us.anthropic.claude-sonnet-4-20250514-v1:0'],
      ['azure', 'gpt-4o'],
    ] as const) {
      assert.ok(price(model, id).base.input > 0n, id);
    }
  });

  it('has 300 models and more of the providers that an id can name', () => {
    const listed = listPrices(BUILT_IN_PRICES, 'ours');
    assert.ok(listed.length >= 300, `${listed.length}`);
    for (const { provider, name, found } of listed) {
      assert.deepEqual(findPrice(provider, name, BUILT_IN_PRICES), found, `${provider}:${name}`);
    }
  });

  it('prices simulations like gpt-5-mini, under a name of their own', () => {
    assert.deepEqual(simulatedPrice().base, price('gpt-5-mini').base);
    assert.notEqual(simulatedPrice().version, price('gpt-5-mini').version);
  });

  it('charges a ceiling for every kind of token', () => {
    const usage = {
      inputTokens: 10,
      outputTokens: 10,
      cacheReadTokens: 5,
      cacheWriteTokens: 2,
      cacheWriteHourTokens: 1,
      reasoningTokens: 3,
      audioOutputTokens: 2,
    };
    assert.equal(costOf(ceilingPrice(2.5), usage), 20n * 2_500_000n);
  });
});

describe('the generated price table', () => {
  it('is what its script makes of the package', async () => {
    for (const { file, text } of await generateTables(PRICE_TABLE.fetchedAt)) {
      const path = `src/domain/model/${file}`;
      assert.ok(text === readText(path), `${path} is not what npm run generate:prices writes`);
    }
  });

  it('costs what the package says, for every model and kind of token', () => {
    const at = dayStart(PRICE_TABLE.fetchedAt);
    const book = { file: null, now: () => at };
    const listed = listPrices(book, 'all');
    assert.ok(listed.length > 1_400, `${listed.length}`);
    for (const { provider, name } of listed) {
      const ours = price(name, provider, book);
      for (const [usage, told] of SAMPLES) {
        const theirs = calcPrice(told, name, { providerId: provider, timestamp: new Date(at) });
        const { input, output } = costParts(ours, usage);
        const label = `${provider}:${name} ${JSON.stringify(usage)}`;
        assert.ok(isNear(input, theirs?.input_price ?? 0), `${label}: input ${input} ${theirs?.input_price}`);
        assert.ok(isNear(output, theirs?.output_price ?? 0), `${label}: output ${output} ${theirs?.output_price}`);
      }
    }
  });

  it('counts days like the calendar', () => {
    for (const day of ['1970-01-01', '2000-02-29', '2024-02-29', '2024-03-01', '2026-12-31', '2100-03-01']) {
      assert.equal(dayStart(day), Date.parse(day), day);
    }
  });
});

/** A usage with what the package calls its counts. Samples are large, so that tiers are reached. */
const SAMPLES: readonly (readonly [Usage, Readonly<Record<string, number>>])[] = [100_007, 300_011].flatMap((size) => {
  const [read, write, reasoning, output] = [size / 4, size / 8, 2_003, 10_007].map(Math.floor) as [
    number,
    number,
    number,
    number,
  ];
  const words = { inputTokens: size, outputTokens: output, reasoningTokens: reasoning, cacheWriteTokens: 0 };
  const told = {
    input_tokens: size,
    output_tokens: output,
    output_reasoning_tokens: reasoning,
    cache_read_tokens: read,
  };
  return [
    [
      { ...words, cacheReadTokens: read, cacheWriteTokens: write },
      { ...told, cache_write_tokens: write },
    ],
    [
      { ...words, cacheReadTokens: read, audioInputTokens: 5_003, audioCacheReadTokens: 1_001, audioOutputTokens: 307 },
      { ...told, input_audio_tokens: 5_003, cache_audio_read_tokens: 1_001, output_audio_tokens: 307 },
    ],
    [
      { ...words, cacheReadTokens: read, imageInputTokens: 4_001, imageCacheReadTokens: 999, imageOutputTokens: 1_290 },
      { ...told, input_image_tokens: 4_001, cache_image_read_tokens: 999, output_image_tokens: 1_290 },
    ],
  ];
});

/** The package counts in floats, and a price finer than a pico-dollar a token is rounded up here. */
function isNear(pico: bigint, usd: number): boolean {
  return Math.abs(Number(pico) / 1e12 - usd) <= 1e-5 * usd + 1e-12;
}
