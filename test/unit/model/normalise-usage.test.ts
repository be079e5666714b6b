// Goal: what a call used is read from what its provider wrote, kind by kind, and what cannot be is not believed.
// Method: usage objects of each wire as providers write them, through the packages' own shapes; then contradictions.
import assert from 'node:assert/strict';
import type { LanguageModelV4Usage } from '@ai-sdk/provider';
import { normaliseUsage } from '../../../src/activities/model/normalise-usage.ts';
import { NO_USAGE, type Usage } from '../../../src/domain/model/usage.ts';
import type { Wire } from '../../../src/domain/model/wire.ts';

type Raw = NonNullable<LanguageModelV4Usage['raw']>;
type Told = { readonly input?: number; readonly output?: number; readonly read?: number; readonly write?: number };

/** A usage as a package hands it on: what it made of it, and what the provider wrote. */
function usage({ input, output, read, write }: Told, raw?: Raw): LanguageModelV4Usage {
  return {
    inputTokens: { total: input, noCache: undefined, cacheRead: read, cacheWrite: write },
    outputTokens: { total: output, text: undefined, reasoning: undefined },
    ...(raw === undefined ? {} : { raw }),
  };
}

function readRaw(wire: Wire, raw: Raw, provider?: string): Usage | null {
  return normaliseUsage(wire, usage({}, raw), provider);
}

describe('normaliseUsage', () => {
  const cases: readonly (readonly [string, Wire, Raw, Partial<Usage>, string?])[] = [
    [
      'OpenAI chat',
      'openai-chat',
      {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 10, audio_tokens: 5 },
        completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 3 },
      },
      {
        inputTokens: 100,
        outputTokens: 50,
        cacheReadTokens: 60,
        cacheWriteTokens: 10,
        reasoningTokens: 20,
        audioInputTokens: 5,
        audioOutputTokens: 3,
      },
    ],
    [
      'OpenAI responses',
      'openai-responses',
      {
        input_tokens: 100,
        input_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
        output_tokens: 50,
        output_tokens_details: { reasoning_tokens: 20 },
      },
      { inputTokens: 100, outputTokens: 50, cacheReadTokens: 60, cacheWriteTokens: 10, reasoningTokens: 20 },
    ],
    [
      'Anthropic, whose input leaves the cache out',
      'anthropic',
      {
        input_tokens: 10,
        cache_read_input_tokens: 1000,
        cache_creation_input_tokens: 300,
        cache_creation: { ephemeral_5m_input_tokens: 200, ephemeral_1h_input_tokens: 100 },
        output_tokens: 50,
        output_tokens_details: { thinking_tokens: 30 },
        server_tool_use: { web_search_requests: 2 },
      },
      {
        inputTokens: 1310,
        outputTokens: 50,
        cacheReadTokens: 1000,
        cacheWriteTokens: 300,
        cacheWriteHourTokens: 100,
        reasoningTokens: 30,
        webSearches: 2,
      },
    ],
    [
      'Google, whose thoughts and tool prompts are beside',
      'google',
      {
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
        totalTokenCount: 220,
      },
      {
        inputTokens: 120,
        outputTokens: 100,
        cacheReadTokens: 40,
        reasoningTokens: 90,
        audioInputTokens: 30,
        audioCacheReadTokens: 15,
      },
    ],
    [
      'Mistral',
      'mistral',
      { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150, prompt_tokens_details: { cached_tokens: 40 } },
      { inputTokens: 100, outputTokens: 50, cacheReadTokens: 40 },
    ],
    [
      'Bedrock, whose input leaves the cache out and whose writes have lifetimes',
      'bedrock',
      {
        inputTokens: 10,
        cacheReadInputTokens: 1000,
        cacheWriteInputTokens: 300,
        cacheDetails: [
          { ttl: '5m', inputTokens: 200 },
          { ttl: '1h', inputTokens: 100 },
        ],
        outputTokens: 50,
        totalTokens: 1360,
      },
      {
        inputTokens: 1310,
        outputTokens: 50,
        cacheReadTokens: 1000,
        cacheWriteTokens: 300,
        cacheWriteHourTokens: 100,
      },
    ],
    [
      'Groq',
      'openai-chat',
      {
        prompt_tokens: 21,
        completion_tokens: 142,
        completion_tokens_details: { reasoning_tokens: 136 },
        queue_time: 0.1,
      },
      { inputTokens: 21, outputTokens: 142, reasoningTokens: 136 },
      'groq',
    ],
    [
      'xAI, whose reasoning is inside, and beside where its total says so',
      'openai-responses',
      { input_tokens: 10, output_tokens: 78, total_tokens: 152, output_tokens_details: { reasoning_tokens: 64 } },
      { inputTokens: 10, outputTokens: 142, reasoningTokens: 64 },
      'xai',
    ],
    [
      'a server that counts reasoning beside, by its total',
      'openai-chat',
      {
        prompt_tokens: 10,
        completion_tokens: 78,
        total_tokens: 152,
        completion_tokens_details: { reasoning_tokens: 64 },
      },
      { inputTokens: 10, outputTokens: 142, reasoningTokens: 64 },
    ],
    [
      'a server with more reasoning than output',
      'openai-chat',
      { prompt_tokens: 10, completion_tokens: 8, completion_tokens_details: { reasoning_tokens: 64 } },
      { inputTokens: 10, outputTokens: 72, reasoningTokens: 64 },
    ],
    [
      'a server that says the thoughts in the total alone',
      'openai-chat',
      { prompt_tokens: 10, completion_tokens: 5, total_tokens: 515 },
      { inputTokens: 10, outputTokens: 505, reasoningTokens: 500 },
    ],
    [
      'Google, should the total say more than the parts',
      'google',
      { promptTokenCount: 10, candidatesTokenCount: 5, totalTokenCount: 515 },
      { inputTokens: 10, outputTokens: 505, reasoningTokens: 500 },
    ],
    [
      'a total that is less than its parts',
      'openai-chat',
      { prompt_tokens: 10, completion_tokens: 5, total_tokens: 10 },
      { inputTokens: 10, outputTokens: 5 },
    ],
    [
      'details that are null',
      'openai-chat',
      { prompt_tokens: 10, completion_tokens: 8, prompt_tokens_details: null, completion_tokens_details: null },
      { inputTokens: 10, outputTokens: 8 },
    ],
  ];
  for (const [what, wire, raw, expected, provider] of cases) {
    it(`reads ${what}`, () => assert.deepEqual(readRaw(wire, raw, provider), { ...NO_USAGE, ...expected }));
  }

  it('takes the cache that only the package knows, as DeepSeek names it otherwise', () => {
    const told = usage({ input: 100, output: 5, read: 70 }, { prompt_tokens: 100, completion_tokens: 5 });
    assert.equal(normaliseUsage('openai-chat', told, 'deepseek')?.cacheReadTokens, 70);
  });

  it('takes the cache that Mistral names otherwise, and does not believe more of it than was read', () => {
    const raw = { prompt_tokens: 100, completion_tokens: 5, num_cached_tokens: 70 };
    assert.equal(normaliseUsage('mistral', usage({ input: 100, output: 5, read: 70 }, raw))?.cacheReadTokens, 70);
    assert.equal(normaliseUsage('mistral', usage({ input: 100, output: 5, read: 170 }, raw)), null);
    assert.equal(normaliseUsage('simulated', usage({ input: 100, output: 5, read: 170 })), null);
  });

  it('does not believe a part that is no number, even where the package does without it', () => {
    const raw = { input_tokens: 10, cache_creation_input_tokens: '300', output_tokens: 5 };
    assert.equal(readRaw('anthropic', raw), null);
    const cached = { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cache_write_tokens: '3' } };
    assert.equal(normaliseUsage('openai-chat', usage({ input: 10, output: 5 }, cached)), null);
  });

  it('takes the larger whole, where the package adds what is beside the totals', () => {
    const told = usage({ input: 500, output: 80 }, { input_tokens: 100, output_tokens: 5 });
    assert.deepEqual(normaliseUsage('anthropic', told), { ...NO_USAGE, inputTokens: 500, outputTokens: 80 });
  });

  it('takes what the package says where the provider wrote nothing that can be read', () => {
    const told = { input: 100, output: 5, read: 30, write: 20 };
    const expected = { ...NO_USAGE, inputTokens: 100, outputTokens: 5, cacheReadTokens: 30, cacheWriteTokens: 20 };
    assert.deepEqual(normaliseUsage('anthropic', usage(told)), expected);
    assert.deepEqual(normaliseUsage('google', usage(told, { some: 'thing' })), expected);
    assert.deepEqual(normaliseUsage('simulated', usage(told)), expected);
  });

  const impossible: readonly (readonly [string, Wire, Raw])[] = [
    ['an empty prompt', 'openai-chat', { prompt_tokens: 0, completion_tokens: 5 }],
    ['less than nothing', 'openai-chat', { prompt_tokens: 5, completion_tokens: -1 }],
    ['no number', 'openai-chat', { prompt_tokens: 5, completion_tokens: Number.NaN }],
    ['half a token', 'anthropic', { input_tokens: 5.5, output_tokens: 1 }],
    ['numbers as text', 'openai-chat', { prompt_tokens: '5', completion_tokens: '1' }],
    [
      'more cached than read',
      'openai-responses',
      {
        input_tokens: 5,
        output_tokens: 1,
        input_tokens_details: { cached_tokens: 6 },
      },
    ],
    [
      'a cache below 0',
      'openai-chat',
      {
        prompt_tokens: 5,
        completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: -5 },
      },
    ],
    [
      'more for an hour than at all',
      'bedrock',
      { inputTokens: 5, outputTokens: 1, cacheWriteInputTokens: 5, cacheDetails: [{ ttl: '1h', inputTokens: 6 }] },
    ],
    [
      'more sound than input',
      'openai-chat',
      {
        prompt_tokens: 5,
        completion_tokens: 1,
        prompt_tokens_details: { audio_tokens: 6 },
      },
    ],
    ['a prompt below 0', 'google', { promptTokenCount: -3 }],
    ['nothing', 'openai-chat', {}],
  ];
  for (const [what, wire, raw] of impossible) {
    it(`refuses ${what}`, () => assert.equal(readRaw(wire, raw), null));
  }
});
