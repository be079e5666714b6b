// Goal: a conversation that goes from one provider to another and back takes with it what only its writer can read, and shows it to nobody else.
// Method: the real clients of two wires against two servers that note what they are sent.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { invokeModel, type ModelRequest } from '../../../src/activities/model/invoke-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { signed } from '../../../src/activities/model/signed.ts';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';
import { type ProviderServer, startProviderServer } from '../../support/provider-server.ts';

const SIGNATURE = 'c2lnbmVkLWJ5LXRoZS1maXJzdA==';

const LOOK = {
  name: 'look',
  version: '1.0.0',
  description: 'Looks.',
  inputSchema: { type: 'object', properties: {} },
  outputSchema: {},
  effect: 'read',
} as const;

/** A reply of Anthropic's with a thought that is signed, and a call. */
const EVENTS: readonly (readonly [string, object])[] = [
  [
    'message_start',
    {
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'claude',
        content: [],
        stop_reason: null,
        usage: { input_tokens: 10, output_tokens: 1 },
      },
    },
  ],
  ['content_block_start', { index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } }],
  ['content_block_delta', { index: 0, delta: { type: 'thinking_delta', thinking: 'A secret thought.' } }],
  ['content_block_delta', { index: 0, delta: { type: 'signature_delta', signature: SIGNATURE } }],
  ['content_block_stop', { index: 0 }],
  ['content_block_start', { index: 1, content_block: { type: 'tool_use', id: 'toolu_1', name: 'look', input: {} } }],
  ['content_block_delta', { index: 1, delta: { type: 'input_json_delta', partial_json: '{}' } }],
  ['content_block_stop', { index: 1 }],
  ['message_delta', { delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 20 } }],
  ['message_stop', {}],
];

describe('a conversation over two wires', () => {
  let chat: ProviderServer;
  let anthropic: Server;
  const asked: string[] = [];

  before(async () => {
    chat = await startProviderServer();
    anthropic = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        asked.push(body);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const [type, data] of EVENTS)
          response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
        response.end();
      });
    });
    await new Promise<void>((resolve) => anthropic.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    await chat.close();
    anthropic.closeAllConnections();
    await new Promise((resolve) => anthropic.close(resolve));
  });

  it('shows reasoning and its signature to the provider that wrote them alone', async () => {
    const { port } = anthropic.address() as AddressInfo;
    const env = {
      ANTHROPIC_API_KEY: 'sk-ant-test',
      ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}/v1`,
      PERDURE_MODEL_BASE_URL: chat.baseUrl,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
    };
    const models = createModels({ env, rehearsals: new Map() });
    const parts: MessagePart[] = [{ kind: 'user-text', text: 'Look.' }];
    const say = async (id: string): Promise<void> => {
      const choice = { id, outputTokensMax: 4_000, contextTokensMax: 100_000 };
      const resolved = await models.resolve(choice);
      const request: ModelRequest = {
        instructions: 'Be brief.',
        parts,
        tools: [LOOK],
        outputTokensMax: choice.outputTokensMax,
        settings: {
          parameters: { providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1_024 } } } },
        },
      };
      const reply = await invokeModel(resolved, request, new AbortController().signal);
      parts.push(...reply.parts.map((part) => signed(part, resolved)));
      for (const part of reply.parts) {
        if (part.kind !== 'tool-call') continue;
        const { toolCallId, toolName } = part;
        parts.push({ kind: 'tool-result', toolCallId, toolName, isError: false, output: 'seen' });
      }
    };

    await say('anthropic:claude-sonnet-4-5');
    assert.ok(parts.some((part) => part.kind === 'reasoning' && JSON.stringify(part.metadata).includes(SIGNATURE)));

    chat.next({ kind: 'reply', reasoning: 'Another thought.', text: 'I stand in.' });
    await say('openai-compatible:spare');
    const toSpare = JSON.stringify(chat.ledger.at(-1)?.body);
    assert.ok(toSpare.includes('"look"') && toSpare.includes('seen'), toSpare);
    assert.ok(!toSpare.includes(SIGNATURE) && !toSpare.includes('A secret thought.'), toSpare);

    await say('anthropic:claude-sonnet-4-5');
    const toFirst = asked.at(-1) ?? '';
    assert.ok(toFirst.includes(SIGNATURE) && toFirst.includes('A secret thought.'), toFirst);
    assert.ok(toFirst.includes('I stand in.') && !toFirst.includes('Another thought.'), toFirst);
    assert.ok(toFirst.includes('"budget_tokens":1024'), toFirst);
  });

  it('sends the schema of an answer as each wire has it, beside the tools', async () => {
    const { port } = anthropic.address() as AddressInfo;
    const env = {
      ANTHROPIC_API_KEY: 'sk-ant-test',
      ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}/v1`,
      OPENAI_API_KEY: 'sk-test',
      PERDURE_MODEL_BASE_URL: chat.baseUrl,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
    };
    const models = createModels({ env, rehearsals: new Map() });
    const output = { schema: { type: 'object', properties: { priceUsd: { type: 'number' } } } };
    const ask = async (id: string): Promise<void> => {
      const resolved = await models.resolve({ id, outputTokensMax: 100, contextTokensMax: 1_000 });
      const parts: MessagePart[] = [{ kind: 'user-text', text: 'How much?' }];
      const request = { instructions: 'Be brief.', parts, tools: [LOOK], outputTokensMax: 100, settings: { output } };
      await invokeModel(resolved, request, new AbortController().signal);
    };
    await ask('openai:gpt-4o');
    const openai = chat.ledger.at(-1)?.body;
    assert.deepEqual(openai?.['response_format'], {
      type: 'json_schema',
      json_schema: { schema: output.schema, strict: false, name: 'answer' },
    });
    assert.ok(JSON.stringify(openai?.['tools']).includes('"look"'));
    // A server that nobody knows is told by its instructions alone.
    await ask('openai-compatible:local');
    assert.ok(!JSON.stringify(chat.ledger.at(-1)?.body).includes('response_format'));
    await ask('anthropic:claude-sonnet-4-5');
    const sent = asked.at(-1) ?? '';
    assert.ok(sent.includes('"priceUsd"') && sent.includes('"look"'), sent);
  });
});
