// Goal: prices that a person writes down go before the table, exactly as they are written, and a mistake in them stops the process.
// Method: files with good and bad content in a folder of their own, opened as a worker does it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mock } from 'node:test';
import { createModels, modelPrice } from '../../../src/activities/model/providers.ts';
import { type UnknownPrice, watchPrices } from '../../../src/activities/model/watch-prices.ts';
import { DAY_MS, dayStart } from '../../../src/domain/model/calendar.ts';
import {
  findPrice,
  listPrices,
  type PriceBook,
  PRICE_TABLE,
  priceOfModel,
} from '../../../src/domain/model/price-table.ts';
import { costOf } from '../../../src/domain/model/price.ts';
import { NO_USAGE } from '../../../src/domain/model/usage.ts';
import { createLogger } from '../../../src/runtime/logger.ts';
import { openPriceBook, PRICES_STALE_DAYS, priceTableAge, stalePrices } from '../../../src/runtime/price-book.ts';
import { createMetrics } from '../../../src/workers/metrics/create-metrics.ts';
import { countUnknownPrice, reportUnknownPrices, warnOfStalePrices } from '../../../src/workers/report-prices.ts';
import { parseExposition } from '../../support/observe/exposition.ts';
import { testFolder } from '../../support/servers.ts';

/** A file with one model that is right but for what is given. */
function model(more: object): object {
  return { models: [{ id: 'openai:m', usdPerMillion: { input: 1, output: 2 }, ...more }] };
}

let folder: string;

before(async () => {
  folder = await testFolder();
});

function envOf(content: unknown): Record<string, string> {
  const path = join(folder, `prices-${Math.random()}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return { PERDURE_PRICES_FILE: path };
}

/** An entry with a price of its own. */
function priced(id: string, input: number, more: object = {}): object {
  return { id, usdPerMillion: { input, output: 9 }, ...more };
}

function open(content: unknown, now = Date.parse('2026-06-01')): PriceBook {
  return openPriceBook(envOf(content), () => now);
}

function ceilingOf(text: string): bigint | undefined {
  return modelPrice({ env: { PERDURE_MODEL_CEILING_USD_PER_MTOK: text } }, 'openai', 'gpt-99')?.base.input;
}

describe('prices of a file', () => {
  it('go before the table, digit by digit, and say so', () => {
    const book = open({
      version: 'contract-7',
      models: [{ id: 'openai:gpt-5-mini', usdPerMillion: { input: '0.123456', output: 1.1, cacheRead: 0.000001 } }],
    });
    const price = priceOfModel('openai', 'gpt-5-mini', book);
    assert.deepEqual(
      [price?.base.input, price?.base.output, price?.base.cacheRead, price?.base.cacheWrite, price?.version],
      [123_456n, 1_100_000n, 1n, 123_456n, 'file-contract-7'],
    );
    assert.equal(price?.batchPerMille, 500n);
    assert.deepEqual(priceOfModel('openai', 'gpt-5', book), priceOfModel('openai', 'gpt-5'));
    // Another provider of the same name is another model.
    assert.equal(priceOfModel('openai-responses', 'gpt-5-mini', book)?.version, PRICE_TABLE.version);
  });

  it('stand in lists once, and before the table', () => {
    const book = open({ models: [{ id: 'openai:gpt-5-mini', usdPerMillion: { input: 1, output: 2 } }] });
    const listed = listPrices(book, 'ours');
    assert.deepEqual(
      listed
        .filter(({ provider, name }) => provider === 'openai' && name === 'gpt-5-mini')
        .map(({ found }) => found.from),
      ['file'],
    );
    assert.equal(listed[0]?.found.from, 'file');
  });

  it('have tiers, fees, times and names with any end', () => {
    const models = [
      {
        id: 'ollama:qwen3*',
        usdPerMillion: { input: 1, output: 2, audioInput: 4 },
        tiers: [{ inputTokensAbove: 1000, usdPerMillion: { input: 10, output: 20 } }],
        usdPerRequest: '0.005',
        usdPerWebSearch: 0.01,
        batchPerMille: 250,
        contextTokensMax: 32_000,
      },
      { id: 'ollama:qwen3*', usdPerMillion: { input: 3, output: 4 }, validFrom: '2026-07-01' },
    ];
    const price = priceOfModel('ollama', 'qwen3:8b', open({ models }));
    assert.ok(price !== null);
    const used = { ...NO_USAGE, inputTokens: 1000, audioInputTokens: 100, webSearches: 2 };
    assert.equal(costOf(price, used), 900n * 1_000_000n + 100n * 4_000_000n + 5_000_000_000n + 20_000_000_000n);
    assert.equal(costOf(price, { ...NO_USAGE, inputTokens: 1001 }), 1001n * 10_000_000n + 5_000_000_000n);
    assert.equal(price.batchPerMille, 250n);
    assert.match(price.version, /^file-[\w-]{8}$/);
    const later = priceOfModel('ollama', 'qwen3:8b', open({ models }, Date.parse('2026-07-01')));
    assert.equal(later?.base.input, 3_000_000n);
    assert.equal(priceOfModel('ollama', 'llama3', open({ models })), null);
  });

  it('leave it to the table until they begin', () => {
    const models = [{ id: 'openai:gpt-5-mini', usdPerMillion: { input: 9, output: 9 }, validFrom: '2026-07-01' }];
    const before = open({ models });
    assert.equal(priceOfModel('openai', 'gpt-5-mini', before)?.base.input, 250_000n);
    assert.ok(listPrices(before, 'ours').every(({ found }) => found.from === 'table'));
    const after = open({ models }, Date.parse('2026-07-01'));
    assert.equal(priceOfModel('openai', 'gpt-5-mini', after)?.base.input, 9_000_000n);
  });

  it('can be the most that a model costs, which goes before the ceiling of all models', () => {
    const prices = open({ models: [{ id: 'openai-compatible:qwen3', ceilingUsdPerMillion: 0.5 }] });
    const env = { PERDURE_MODEL_CEILING_USD_PER_MTOK: '9' };
    assert.match(findPrice('openai-compatible', 'qwen3', prices)?.price.version ?? '', /^ceiling-file-/);
    assert.equal(modelPrice({ env, prices }, 'openai-compatible', 'qwen3')?.base.output, 500_000n);
    assert.equal(modelPrice({ env, prices }, 'openai-compatible', 'other')?.base.output, 9_000_000n);
    assert.equal(modelPrice({ env, prices }, 'openai-compatible', 'gpt-5-mini')?.base.output, 9_000_000n);
    assert.equal(modelPrice({ env, prices }, 'openai', 'gpt-5-mini')?.base.output, 2_000_000n);
    assert.equal(modelPrice({ env: {}, prices }, 'openai', 'gpt-9'), null);
  });

  it('hold for the name that fits best, wherever it stands, and for days of a model by its own entry', () => {
    const book = open({
      models: [
        priced('openai:gpt-5*', 1),
        priced('openai:gpt-5-mini', 2),
        priced('openai:gpt-5-m*', 3),
        priced('openai:gpt-5-nano', 4, { validFrom: '2026-07-01' }),
      ],
    });
    const input = (name: string) => priceOfModel('openai', name, book)?.base.input;
    assert.equal(input('gpt-5-mini'), 2_000_000n);
    assert.equal(input('GPT-5-mini-2025-08-07'), 2_000_000n);
    assert.equal(input('gpt-5-maxi'), 3_000_000n);
    assert.equal(input('gpt-5-nano'), 1_000_000n);
    assert.equal(input('gpt-5'), 1_000_000n);
    assert.equal(input('gpt-4o'), 2_500_000n);
  });

  it('can follow a ceiling, each entry as it is written', () => {
    const models = [
      { id: 'vllm:m', ceilingUsdPerMillion: 5, contextTokensMax: 1_000 },
      { id: 'vllm:m', usdPerMillion: { input: 1, output: 1 }, batchPerMille: 250, validFrom: '2026-07-01' },
    ];
    const before = findPrice('vllm', 'm', open({ version: 'v', models }));
    const after = findPrice('vllm', 'm', open({ version: 'v', models }, Date.parse('2026-07-01')));
    assert.deepEqual([before?.price.version, before?.price.batchPerMille], ['ceiling-file-v', 1000n]);
    assert.deepEqual([after?.price.version, after?.price.batchPerMille], ['file-v', 250n]);
    const usdPerMillion = { input: 1, output: 1 };
    const own = open({
      version: 'v',
      models: [
        { id: 'openai-compatible:m', usdPerMillion },
        { id: 'openai:m', usdPerMillion },
      ],
    });
    const batches = ['openai-compatible', 'openai'].map((name) => findPrice(name, 'm', own)?.price.batchPerMille);
    assert.deepEqual(batches, [1000n, 500n], 'nobody knows of the batch lane of a server of one’s own');
    assert.equal(after?.model.context, 1_000);
  });

  for (const [what, content, problem] of [
    ['no JSON', '{', /is no JSON: /],
    ['no list', {}, /models must be a list of models with their prices, got nothing/],
    ['an option that is none', model({ inputUsd: 1 }), /models\.0 must have only the options .*; inputUsd is none/],
    [
      'a price below 0',
      model({ usdPerMillion: { input: -1, output: 2 } }),
      /models\.0\.usdPerMillion\.input must be USD/,
    ],
    ['a price as a word', model({ usdPerMillion: { input: 'free', output: 2 } }), /must be USD .*, got "free"/],
    ['parts of a pico-dollar', model({ usdPerMillion: { input: '0.0000001', output: 2 } }), /at most 6 decimals/],
    ['no price for output', model({ usdPerMillion: { input: 1 } }), /models\.0\.usdPerMillion\.output must be USD/],
    ['no provider', model({ id: 'gpt-5-mini' }), /models\.0\.id must be provider:model/],
    ['price and ceiling', model({ ceilingUsdPerMillion: 1 }), /must have either usdPerMillion or ceilingUsdPerMillion/],
    [
      'a day that no month has',
      model({ validFrom: '2026-02-30' }),
      /openai:m is to begin on 2026-02-30, which no month has/,
    ],
    [
      'two prices from one day',
      {
        models: [{ id: 'openai:m', ceilingUsdPerMillion: 1 }, ...(model({ id: 'openai:M' }) as { models: [] }).models],
      },
      /openai:M has two prices that begin on the same day/,
    ],
    [
      'two prices above one number of tokens',
      model({
        tiers: [1, 2].map((input) => ({ inputTokensAbove: 9, usdPerMillion: { input, output: 2 } })),
      }),
      /models\.0\.tiers must have each inputTokensAbove once/,
    ],
    [
      'a ceiling with tiers',
      { models: [{ id: 'vllm:m', ceilingUsdPerMillion: 1, tiers: [] }] },
      /models\.0 must have no tiers beside/,
    ],
    ['a day that is none', model({ validFrom: '1.7.2026' }), /models\.0\.validFrom must be a day as 2026-03-13/],
  ] as const) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => open(content), { name: 'ConfigurationError', message: problem });
    });
  }

  it('are refused where the file is not there', () => {
    assert.throws(() => openPriceBook({ PERDURE_PRICES_FILE: join(folder, 'none') }), {
      message: /^PERDURE_PRICES_FILE names ".*none", which cannot be read: ENOENT/,
    });
  });

  it('grow old after 45 days', () => {
    const fetched = dayStart(PRICE_TABLE.fetchedAt);
    assert.equal(PRICES_STALE_DAYS, 45);
    assert.equal(stalePrices(fetched + 46 * DAY_MS - 1), null);
    assert.match(stalePrices(fetched + 46 * DAY_MS) ?? '', /were fetched 46 days ago/);
    assert.equal(priceTableAge(fetched - 1), 0);
  });

  it('are said to be old when a worker starts, and again every day', () => {
    const clock = mock.timers;
    clock.enable({ apis: ['setInterval', 'Date'], now: dayStart(PRICE_TABLE.fetchedAt) + 44 * DAY_MS });
    try {
      const logger = createLogger('fatal');
      let warnings = 0;
      logger.warn = () => void (warnings += 1);
      const watch = warnOfStalePrices(logger);
      const counts = [1, 1, 1].map((days) => {
        clock.tick(days * DAY_MS);
        return warnings;
      });
      watch.stop();
      clock.tick(DAY_MS);
      assert.deepEqual([...counts, warnings], [0, 1, 2, 2]);
    } finally {
      clock.reset();
    }
  });
});

describe('the configured ceiling', () => {
  for (const [text, pico] of [
    ['0', 0n],
    ['2.5', 2_500_000n],
    [' 0.000001 ', 1n],
    ['999999', 999_999_000_000n],
  ] as const) {
    it(`can be ${text}`, () => assert.equal(ceilingOf(text), pico));
  }

  for (const text of ['-1', 'two', '1e3', '0.0000001', '1000000', '9'.repeat(400), '1,5', 'Infinity']) {
    it(`is refused as ${text.slice(0, 20)}: what is rounded to nothing would be free`, () => {
      assert.throws(() => ceilingOf(text), { name: 'ModelUnavailable', message: /_PER_MTOK is not a price/ });
    });
  }
});

describe('a model without a known price', () => {
  it('is counted at each call and told once, with or without a ceiling', async () => {
    const told: UnknownPrice[] = [];
    const metrics = createMetrics();
    const count = (unknown: UnknownPrice): void => {
      told.push(unknown);
      countUnknownPrice(metrics, unknown);
    };
    const logger = createLogger('fatal');
    const lines: string[] = [];
    logger.warn = (...parameters: readonly unknown[]) => void lines.push(`warn ${JSON.stringify(parameters)}`);
    logger.info = (...parameters: readonly unknown[]) => void lines.push(`info ${JSON.stringify(parameters)}`);
    let now = 0;
    const report = reportUnknownPrices(logger, count, () => now);
    const env: Record<string, string> = { OPENAI_API_KEY: 'k' };
    const prices = openPriceBook(envOf({ models: [{ id: 'vllm:bounded', ceilingUsdPerMillion: 1 }] }));
    const models = watchPrices(createModels({ env, rehearsals: new Map(), prices }), report);
    const resolve = (id: string) => models.resolve({ id, outputTokensMax: 1, contextTokensMax: 1 });
    assert.notEqual((await resolve('openai:gpt-5-mini')).price, null);
    assert.equal((await resolve('openai:gpt-9')).price, null);
    assert.equal((await resolve('openai:gpt-9')).price, null);
    env['PERDURE_MODEL_CEILING_USD_PER_MTOK'] = '2';
    assert.notEqual((await resolve('openai:gpt-10')).price, null);
    assert.notEqual((await resolve('vllm:bounded')).price, null);
    assert.deepEqual(
      told.map(({ modelId, hasCeiling }) => [modelId, hasCeiling]),
      [
        ['openai:gpt-9', false],
        ['openai:gpt-9', false],
        ['openai:gpt-10', true],
        ['vllm:bounded', true],
      ],
    );
    assert.equal(lines.length, 3);
    assert.match(lines[0] ?? '', /^warn .*openai:gpt-9.*refused until it has a price or a ceiling/);
    assert.match(lines[1] ?? '', /^info .*openai:gpt-10.*charged at the ceiling/);
    now = DAY_MS;
    report({ modelId: 'openai:gpt-9', hasCeiling: false });
    assert.equal(lines.length, 4);
    const { sum } = parseExposition(await metrics.expose());
    assert.equal(sum('perdure_model_prices_unknown_total', { model: 'openai:gpt-9', ceiling: 'false' }), 3);
    assert.equal(sum('perdure_model_prices_unknown_total', { model: 'openai:gpt-10', ceiling: 'true' }), 1);
  });
});
