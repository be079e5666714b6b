// Goal: a reply that a program got from a provider by itself is read and priced like those of runs, whatever its interface is called.
// Method: replies as providers write them, by our names of providers and by those of the table, with and without the name of the interface.
import assert from 'node:assert/strict';
import { billReply } from '../../../src/domain/model/bill-reply.ts';
import { PRICE_TABLE } from '../../../src/domain/model/price-table.ts';
import type { Usage } from '../../../src/domain/model/usage.ts';

const CHAT = {
  usage: { prompt_tokens: 100, prompt_tokens_details: { cached_tokens: 60 }, completion_tokens: 50, total_tokens: 150 },
};
const CLAUDE = {
  usage: { input_tokens: 10, cache_read_input_tokens: 100, cache_creation_input_tokens: 20, output_tokens: 5 },
};
const CONVERSE = { usage: { inputTokens: 10, cacheReadInputTokens: 100, outputTokens: 5, totalTokens: 115 } };

/** Usage of a server of one's own. */
function billed(usage: object): Usage | null {
  return billReply({ provider: 'openai-compatible', model: 'grok', body: { usage } }).usage;
}

describe('billReply', () => {
  it('counts, prices and says by which table', () => {
    const bill = billReply({ provider: 'openai', api: 'chat', model: 'gpt-5-mini', body: CHAT });
    assert.deepEqual(bill, {
      tokens: { input_tokens: 100, cache_read_tokens: 60, output_tokens: 50 },
      usage: { inputTokens: 100, outputTokens: 50, cacheReadTokens: 60, cacheWriteTokens: 0, reasoningTokens: 0 },
      cost: { input: 40n * 250_000n + 60n * 25_000n, output: 50n * 2_000_000n, other: 0n },
      costPico: 40n * 250_000n + 60n * 25_000n + 50n * 2_000_000n,
      priceVersion: PRICE_TABLE.version,
    });
  });

  const known: readonly (readonly [string, string | undefined, string, object, number])[] = [
    ['openai', undefined, 'gpt-5-mini', CHAT, 100],
    ['openai-responses', undefined, 'gpt-5-mini', { usage: { input_tokens: 7, output_tokens: 1 } }, 7],
    [
      'openai',
      'images',
      'gpt-image-1',
      { usage: { input_tokens: 7, input_tokens_details: { text_tokens: 3, image_tokens: 4 }, output_tokens: 1 } },
      7,
    ],
    ['openai', undefined, 'text-embedding-3-small', { usage: { prompt_tokens: 9, total_tokens: 9 } }, 9],
    ['anthropic', 'messages', 'claude-haiku-4-5', CLAUDE, 130],
    ['azure', undefined, 'claude-haiku-4-5', CLAUDE, 130],
    [
      'google',
      'generateContent',
      'models/gemini-2.5-flash',
      { usageMetadata: { promptTokenCount: 4, candidatesTokenCount: 2 } },
      4,
    ],
    ['google', 'vertex', 'claude-sonnet-4-5@20250929', CLAUDE, 130],
    ['bedrock', 'converse', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', CONVERSE, 110],
    ['aws', 'invoke-model', 'anthropic.claude-sonnet-4-5-20250929-v1:0', CLAUDE, 130],
    ['groq', 'chat', 'openai/gpt-oss-120b', CHAT, 100],
    ['mistral', 'chat', 'mistral-large-latest', CHAT, 100],
    ['xai', undefined, 'grok-4', CHAT, 100],
    ['xai', 'responses', 'grok-4', { usage: { input_tokens: 8, output_tokens: 1 } }, 8],
    ['together', 'chat', 'meta-llama/Llama-3.3-70B-Instruct-Turbo', CHAT, 100],
    ['OpenAI', 'CHAT', 'GPT-5-mini', CHAT, 100],
  ];
  for (const [provider, api, model, body, inputTokens] of known) {
    it(`knows ${provider} ${api ?? 'without an interface'} ${model}`, () => {
      const bill = billReply({ provider, ...(api === undefined ? {} : { api }), model, body });
      assert.equal(bill.usage?.inputTokens, inputTokens);
      assert.ok(bill.costPico !== null && bill.costPico > 0n);
    });
  }

  it('counts reasoning that a server says beside its output, or in its total alone', () => {
    const beside = { prompt_tokens: 12, completion_tokens: 2, total_tokens: 354 };
    assert.equal(billed({ ...beside, completion_tokens_details: { reasoning_tokens: 340 } })?.outputTokens, 342);
    assert.equal(billed(beside)?.outputTokens, 342);
  });

  it('has usage and no cost for a model that nobody knows', () => {
    const bill = billReply({ provider: 'openai', model: 'gpt-99', body: CHAT });
    assert.equal(bill.usage?.outputTokens, 50);
    assert.deepEqual([bill.cost, bill.costPico, bill.priceVersion], [null, null, null]);
  });

  it('costs nothing where the model is free of charge, which is not the same', () => {
    const bill = billReply({ provider: 'openrouter', model: 'qwen/qwq-32b:free', body: CHAT });
    assert.equal(bill.costPico, 0n);
  });

  for (const body of [
    null,
    undefined,
    'text',
    [],
    {},
    { usage: null },
    { usage: [] },
    { usage: {} },
    { usage: { prompt_tokens: '5', completion_tokens: 1 } },
    { usage: { prompt_tokens: 5, completion_tokens: -1 } },
  ]) {
    it(`has neither for ${JSON.stringify(body) ?? 'nothing'}`, () => {
      const bill = billReply({ provider: 'openai', model: 'gpt-5-mini', body });
      assert.deepEqual([bill.usage, bill.cost, bill.costPico], [null, null, null]);
    });
  }

  it('prices by the time of the reply', () => {
    const body = { usageMetadata: { promptTokenCount: 1_000_000 } };
    const at = (day: string) =>
      billReply({ provider: 'google', model: 'gemini-3.6-flash', body, at: Date.parse(day) }).costPico;
    assert.deepEqual([at('2026-12-31T23:59:59Z'), at('2027-01-01')], [750_000_000_000n, 1_500_000_000_000n]);
  });
});
