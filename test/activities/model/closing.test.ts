// Goal: the call for a last answer keeps the prefix that its provider has cached, can call no tool, and takes what words there are.
// Method: the real HTTP client against a local server that speaks the provider's wire format.
import assert from 'node:assert/strict';
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { createAnthropic } from '@ai-sdk/anthropic';
import type { LanguageModelV4 } from '@ai-sdk/provider';
import { invokeModel, type ModelRequest } from '../../../src/activities/model/invoke-model.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { ModelReplyError } from '../../../src/activities/model/model-errors.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { type Behaviour, type ProviderServer, startProviderServer } from '../../support/provider-server.ts';

const REQUEST: ModelRequest = {
  instructions: 'Be brief.',
  parts: [{ kind: 'user-text', text: 'How is the weather?' }],
  tools: [
    {
      name: 'weather',
      version: '1.0.0',
      description: 'Tells the weather.',
      inputSchema: { type: 'object', properties: {} },
      outputSchema: {},
      effect: 'read',
    },
  ],
  outputTokensMax: 100,
};

const caughtBy =
  (sent: JsonObject[]): typeof globalThis.fetch =>
  async (_, init) => {
    sent.push(JSON.parse(init?.body as string) as JsonObject);
    return new Response('{"message":"no"}', { status: 400, headers: { 'content-type': 'application/json' } });
  };

/** Asks a model for its last answer after a call with its result. What is sent is caught. */
const askCaught = async (sent: readonly JsonObject[], model: LanguageModelV4, wire: 'anthropic' | 'bedrock') => {
  const call = { toolCallId: 'c1', toolName: 'weather' };
  const parts = [
    ...REQUEST.parts,
    { kind: 'tool-call', ...call, input: {} },
    { kind: 'tool-result', ...call, isError: false, output: 'It snows.' },
    { kind: 'guidance', text: 'Answer now.' },
  ] as const;
  const id = `${wire}:${model.modelId}`;
  const resolved = { model, id, provider: wire, credential: wire, wire, keyName: null, price: null, simulated: false };
  const request = { ...REQUEST, parts, answersOnly: true, cache: { key: 'k' } } as const;
  await assert.rejects(invokeModel(resolved, request, new AbortController().signal));
  assert.equal(sent.length, 1);
};

const usage = { prompt_tokens: 5, completion_tokens: 3 };
const toolCalls = [{ name: 'weather', arguments: {} }];

describe('the call for a last answer', () => {
  let server: ProviderServer;
  before(async () => {
    server = await startProviderServer();
  });
  after(async () => server.close());

  const ask = async (behaviour: Behaviour, request: Partial<ModelRequest> = {}) => {
    const env = { PERDURE_MODEL_BASE_URL: server.baseUrl, OPENAI_API_KEY: 'sk-test-secret-0123456789' };
    const resolved = await createModels({ env, rehearsals: new Map() }).resolve({
      id: 'openai:gpt-5-mini',
      outputTokensMax: 100,
      contextTokensMax: 1_000,
    });
    server.next(behaviour);
    return invokeModel(resolved, { ...REQUEST, answersOnly: true, ...request }, new AbortController().signal);
  };

  it('describes the tools as before and forbids them', async () => {
    await ask({ kind: 'reply', text: 'Sunny.', usage });
    const closing = server.ledger.at(-1)?.body ?? assert.fail();
    await ask({ kind: 'reply', text: 'Sunny.', usage }, { tools: [] });
    assert.equal(closing['tool_choice'], 'none');
    assert.equal((closing['tools'] as readonly object[]).length, 1);
    assert.equal(server.ledger.at(-1)?.body['tool_choice'], undefined);
  });

  it('reads of Anthropic only what it still finds, and writes nothing that nobody will read', async () => {
    const sent: JsonObject[] = [];
    await askCaught(sent, createAnthropic({ apiKey: 'k', fetch: caughtBy(sent) })('claude-sonnet-4-5'), 'anthropic');
    const body = sent[0] ?? assert.fail('nothing was sent');
    assert.deepEqual(body['tool_choice'], { type: 'none' });
    assert.equal((body['tools'] as readonly object[]).length, 1);
    // Another choice of tools finds no message that was kept.
    assert.ok(JSON.stringify(body['system']).includes('cache_control'));
    assert.ok(!JSON.stringify(body['messages']).includes('cache_control'));
  });

  it('keeps the tools and the results of a prompt on Bedrock, which has no word against calls', async () => {
    const sent: JsonObject[] = [];
    const bedrock = createAmazonBedrock({ region: 'us-east-1', apiKey: 'k', fetch: caughtBy(sent) });
    await askCaught(sent, bedrock('us.anthropic.claude-sonnet-4-5-20250929-v1:0'), 'bedrock');
    const body = sent[0] ?? assert.fail('nothing was sent');
    assert.equal(((body['toolConfig'] as JsonObject)['tools'] as readonly object[]).length, 1);
    assert.ok(JSON.stringify(body['messages']).includes('It snows.'), JSON.stringify(body));
  });

  it('leaves out calls of a model that makes them all the same', async () => {
    const reply = await ask({ kind: 'reply', text: 'Sunny.', toolCalls, usage });
    assert.deepEqual([reply.stopReason, reply.parts.map(({ kind }) => kind)], ['stop', ['assistant-text']]);
    await assert.rejects(
      ask({ kind: 'reply', toolCalls, usage }),
      (error) => error instanceof ModelReplyError && error.kind === 'empty' && error.usage?.outputTokens === 3,
    );
  });

  it('takes an answer that was cut', async () => {
    const reply = await ask({ kind: 'reply', text: 'It is sun', finishReason: 'length', usage });
    assert.deepEqual([reply.stopReason, reply.parts], ['stop', [{ kind: 'assistant-text', text: 'It is sun' }]]);
  });
});
