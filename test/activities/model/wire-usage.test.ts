// Goal: what a provider writes about a call's usage arrives whole, through the package of its wire, and is charged at the prices of its kinds.
// Method: a server that streams replies as each provider writes them, called over HTTP through the real packages.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogle } from '@ai-sdk/google';
import { createGroq } from '@ai-sdk/groq';
import { createMistral } from '@ai-sdk/mistral';
import { createOpenAI } from '@ai-sdk/openai';
import type { LanguageModelV4 } from '@ai-sdk/provider';
import { invokeModel } from '../../../src/activities/model/invoke-model.ts';
import { wireModel } from '../../../src/activities/model/wire-model.ts';
import { priceOfModel } from '../../../src/domain/model/price-table.ts';
import { costParts } from '../../../src/domain/model/price.ts';
import { NO_USAGE, type Usage } from '../../../src/domain/model/usage.ts';
import type { Wire } from '../../../src/domain/model/wire.ts';

type Case = {
  readonly id: string;
  readonly wire: Wire;
  readonly model: (baseURL: string, name: string) => LanguageModelV4 | Promise<LanguageModelV4>;
  readonly events: readonly object[];
  readonly usage: Partial<Usage>;
  /** Pico-dollars. */
  readonly input: bigint;
  readonly output: bigint;
};

const apiKey = 'k';

const chunk = (usage: object): object => ({
  id: 'c',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'm',
  choices: [{ index: 0, delta: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage,
  x_groq: { id: 'x', usage },
});

const CASES: readonly Case[] = [
  {
    id: 'anthropic:claude-sonnet-4-6',
    wire: 'anthropic',
    model: (baseURL, name) => createAnthropic({ baseURL, apiKey }).languageModel(name),
    events: [
      {
        type: 'message_start',
        message: {
          id: 'm',
          type: 'message',
          role: 'assistant',
          model: 'claude-sonnet-4-6',
          content: [],
          stop_reason: null,
          usage: {
            input_tokens: 10,
            cache_creation_input_tokens: 300,
            cache_read_input_tokens: 1000,
            cache_creation: { ephemeral_5m_input_tokens: 200, ephemeral_1h_input_tokens: 100 },
            output_tokens: 1,
          },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { output_tokens: 50, output_tokens_details: { thinking_tokens: 30 } },
      },
      { type: 'message_stop' },
    ],
    usage: {
      inputTokens: 1310,
      outputTokens: 50,
      cacheReadTokens: 1000,
      cacheWriteTokens: 300,
      cacheWriteHourTokens: 100,
      reasoningTokens: 30,
    },
    input: 10n * 3_000_000n + 1000n * 300_000n + 200n * 3_750_000n + 100n * 6_000_000n,
    output: 50n * 15_000_000n,
  },
  {
    id: 'google:gemini-2.5-flash',
    wire: 'google',
    model: (baseURL, name) => createGoogle({ baseURL, apiKey }).languageModel(name),
    events: [
      {
        candidates: [{ content: { parts: [{ text: 'Hello' }], role: 'model' }, finishReason: 'STOP' }],
        usageMetadata: {
          promptTokenCount: 100,
          cachedContentTokenCount: 40,
          cacheTokensDetails: [
            { modality: 'AUDIO', tokenCount: 15 },
            { modality: 'TEXT', tokenCount: 25 },
          ],
          promptTokensDetails: [
            { modality: 'TEXT', tokenCount: 70 },
            { modality: 'AUDIO', tokenCount: 30 },
          ],
          toolUsePromptTokenCount: 20,
          candidatesTokenCount: 10,
          thoughtsTokenCount: 90,
        },
      },
    ],
    usage: {
      inputTokens: 120,
      outputTokens: 100,
      cacheReadTokens: 40,
      reasoningTokens: 90,
      audioInputTokens: 30,
      audioCacheReadTokens: 15,
    },
    input: 65n * 300_000n + 25n * 30_000n + 15n * 1_000_000n + 15n * 100_000n,
    output: 100n * 2_500_000n,
  },
  {
    id: 'openai-responses:gpt-5.6-sol',
    wire: 'openai-responses',
    model: (baseURL, name) => createOpenAI({ baseURL, apiKey }).responses(name),
    events: [
      { type: 'response.created', response: { id: 'r', created_at: 1, model: 'gpt-5.6-sol' } },
      {
        type: 'response.output_item.added',
        output_index: 0,
        item: { type: 'message', id: 'i', role: 'assistant', content: [] },
      },
      { type: 'response.output_text.delta', item_id: 'i', output_index: 0, content_index: 0, delta: 'Hello' },
      {
        type: 'response.output_item.done',
        output_index: 0,
        item: { type: 'message', id: 'i', role: 'assistant', content: [] },
      },
      {
        type: 'response.completed',
        response: {
          id: 'r',
          created_at: 1,
          model: 'gpt-5.6-sol',
          incomplete_details: null,
          usage: {
            input_tokens: 100,
            input_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
            output_tokens: 50,
            output_tokens_details: { reasoning_tokens: 20 },
          },
        },
      },
    ],
    usage: { inputTokens: 100, outputTokens: 50, cacheReadTokens: 60, cacheWriteTokens: 10, reasoningTokens: 20 },
    input: 30n * 4_000_000n + 60n * 400_000n + 10n * 5_000_000n,
    output: 50n * 20_000_000n,
  },
  {
    id: 'openai:gpt-audio',
    wire: 'openai-chat',
    model: (baseUrl, model) => wireModel({ provider: 'openai', model, baseUrl, apiKey, fetch: globalThis.fetch }),
    events: [
      chunk({
        prompt_tokens: 100,
        completion_tokens: 50,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 40 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 30 },
      }),
    ],
    usage: { inputTokens: 100, outputTokens: 50, audioInputTokens: 40, audioOutputTokens: 30 },
    input: 60n * 2_500_000n + 40n * 32_000_000n,
    output: 20n * 10_000_000n + 30n * 64_000_000n,
  },
  {
    id: 'mistral:mistral-medium-latest',
    wire: 'mistral',
    model: (baseURL, name) => createMistral({ baseURL, apiKey }).languageModel(name),
    events: [
      chunk({
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 40 },
      }),
    ],
    usage: { inputTokens: 100, outputTokens: 50, cacheReadTokens: 40 },
    input: 60n * 1_500_000n + 40n * 150_000n,
    output: 50n * 7_500_000n,
  },
  {
    id: 'groq:openai/gpt-oss-120b',
    wire: 'openai-chat',
    model: (baseURL, name) => createGroq({ baseURL, apiKey }).languageModel(name),
    events: [
      chunk({
        prompt_tokens: 100,
        completion_tokens: 50,
        prompt_tokens_details: { cached_tokens: 40 },
        completion_tokens_details: { reasoning_tokens: 20 },
      }),
    ],
    usage: { inputTokens: 100, outputTokens: 50, cacheReadTokens: 40, reasoningTokens: 20 },
    input: 60n * 150_000n + 40n * 75_000n,
    output: 50n * 600_000n,
  },
];

describe('the usage of a wire', () => {
  let events: readonly object[] = [];
  let baseUrl: string;
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
    });
  });

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  after(() => server.close());

  for (const { id, wire, model: makeModel, events: written, usage, input, output } of CASES) {
    it(`of ${id} is read and charged`, async () => {
      events = written;
      const [provider = '', name = ''] = id.split(':');
      const model = await makeModel(baseUrl, name);
      const resolved = {
        model,
        id,
        provider,
        credential: provider,
        wire,
        keyName: null,
        price: null,
        simulated: false,
      };
      const asked = { instructions: 'Answer.', parts: [], tools: [], outputTokensMax: 100 };
      const parts = [{ kind: 'user-text', text: 'Hello' }] as const;
      const reply = await invokeModel(resolved, { ...asked, parts }, AbortSignal.timeout(20_000));
      assert.equal(reply.usageEstimated, false);
      assert.deepEqual(reply.usage, { ...NO_USAGE, ...usage });
      const price = priceOfModel(provider, name) ?? assert.fail(`${id} has no price`);
      assert.deepEqual(costParts(price, reply.usage), { input, output, other: 0n });
    });
  }
});
