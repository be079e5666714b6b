// Goal: a request reaches its provider as the provider takes it, or is refused before anything is sent, in words that help.
// Method: each provider's own package against a server of ours that notes what it is sent.
import assert from 'node:assert/strict';
import { classify } from '../../../src/activities/failures.ts';
import type { ModelReply, ModelRequest } from '../../../src/activities/model/invoke-model.ts';
import { openedModel } from '../../../src/activities/model/opened-model.ts';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';
import type { ToolContract } from '../../../src/domain/tool/contract.ts';
import {
  callDouble,
  type DoubleServer,
  type Fields,
  startDouble,
  WIRE_DOUBLES,
  type WireDouble,
} from '../../support/wire-doubles.ts';

function toolOf(name: string): ToolContract {
  const inputSchema = { type: 'object', properties: {} };
  return { name, version: '1.0.0', description: 'x', inputSchema, outputSchema: {}, effect: 'read' };
}

async function missingPackage(): Promise<never> {
  throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
}

describe('requests', () => {
  let server: DoubleServer;

  before(async () => {
    server = await startDouble();
  });
  after(async () => server.close());

  const call = async (wire: WireDouble, request: Partial<ModelRequest>): Promise<ModelReply> =>
    callDouble(server, wire, request);

  it('carry the signature of a thought back with its call to Google, over both of its protocols', async () => {
    const look = { name: 'look', arguments: {} };
    const google = WIRE_DOUBLES['google'] as WireDouble;
    const chat = WIRE_DOUBLES['ollama'] as WireDouble;
    const signature = { google: { thought_signature: 'SIGNED' } };
    const rows: readonly (readonly [WireDouble, (reply: Fields) => void])[] = [
      [google, (reply) => (reply['candidates'][0].content.parts[0].thoughtSignature = 'SIGNED')],
      [chat, (reply) => (reply['choices'][0].message.tool_calls[0].extra_content = signature)],
    ];
    for (const [wire, sign] of rows) {
      server.answer(() => {
        const reply = structuredClone(wire.reply([{ id: 'c', ...look }]));
        sign(reply);
        return reply;
      });
      const parts: readonly MessagePart[] = [{ kind: 'user-text', text: 'Hello.' }];
      const reply = await call(wire, { parts, tools: [toolOf('look')] });
      await call(wire, { parts: [...parts, ...reply.parts], tools: [toolOf('look')] });
      const { contents, messages } = server.heard.at(-1)?.body ?? {};
      const back = contents?.[1]?.parts?.[0]?.thoughtSignature ?? messages?.[2]?.tool_calls?.[0]?.extra_content;
      assert.deepEqual(back, wire === google ? 'SIGNED' : signature);
    }
  });

  it('send nothing of a request that the package refuses, and say what it refuses', async () => {
    const wire = WIRE_DOUBLES['anthropic'] as WireDouble;
    const before = server.heard.length;
    const settings = { parameters: { providerOptions: { anthropic: { thinking: { type: 'oops' } } } } };
    const error: unknown = await call(wire, { settings }).catch((thrown: unknown) => thrown);
    const { cause, disposition, sent, message } = classify(error);
    assert.deepEqual([cause, disposition, sent], ['validation', 'final', 'no']);
    assert.match(message, /invalid anthropic provider options/);
    assert.equal(server.heard.length, before);
  });

  it('refuse a key that no header takes, without showing it', async () => {
    const wire = WIRE_DOUBLES['mistral'] as WireDouble;
    for (const key of ['“quoted”', 'one\ntwo', 'with blank']) {
      const error: unknown = await call(
        { ...wire, env: (origin) => ({ ...wire.env(origin), MISTRAL_API_KEY: key }) },
        {},
      ).catch((thrown: unknown) => thrown);
      const { cause, disposition, sent, message } = classify(error);
      assert.deepEqual([cause, disposition, sent], ['model-authentication', 'mendable', 'no']);
      assert.match(message, /^MISTRAL_API_KEY has characters/);
    }
  });

  it('block for a package that is not installed', async () => {
    const model = openedModel({ provider: 'xai', modelId: 'm', fetch, open: missingPackage });
    const error: unknown = await model.doStream({ prompt: [] }).then(null, (thrown: unknown) => thrown);
    const { cause, disposition, sent, message } = classify(error);
    assert.deepEqual([cause, disposition, sent], ['model-error', 'mendable', 'no']);
    assert.match(message, /package of xai/);
  });

  it('find the path of an address that is only a host, however it ends', async () => {
    const paths: Readonly<Record<string, string>> = {
      anthropic: '/v1/messages',
      google: '/v1beta/models/m:streamGenerateContent?alt=sse',
      mistral: '/v1/chat/completions',
      groq: '/openai/v1/chat/completions',
      xai: '/v1/responses',
      ollama: '/v1/chat/completions',
      openai: '/chat/completions',
    };
    for (const [provider, path] of Object.entries(paths)) {
      const wire = WIRE_DOUBLES[provider] as WireDouble;
      server.answer(() => wire.reply([{ id: 'c', name: 'look', arguments: {} }]));
      for (const [ending, expected] of [
        ['', path],
        ['/', path],
        ['/own/', `/own/${path.replace(/^\/(?:openai\/)?v1(?:beta)?\//, '').replace(/^\//, '')}`],
      ] as const) {
        await call({ ...wire, env: (origin) => wire.env(`${origin}${ending}`) }, { tools: [toolOf('look')] });
        assert.equal(server.heard.at(-1)?.path, expected);
      }
    }
  });

  it('tell a tool of the name json from the answer of a schema', async () => {
    const output = { schema: { type: 'object', properties: { at: { type: 'number' } } } };
    for (const wire of Object.values(WIRE_DOUBLES)) {
      server.answer((request) => {
        const name = wire.toolNames(request).find((told) => told.startsWith('json_')) ?? 'none';
        return wire.reply([{ id: 'c', name, arguments: { at: 1 } }]);
      });
      const reply = await call(wire, { tools: [toolOf('json')], settings: { output } });
      assert.deepEqual(
        reply.parts.map((part) => (part.kind === 'tool-call' ? [part.toolName, part.input] : part.kind)),
        [['json', { at: 1 }]],
        wire.model,
      );
    }
  });
});
