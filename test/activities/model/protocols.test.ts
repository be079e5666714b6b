// Goal: over three protocols a reply is read whole, streamed or not, and nothing that breaks off in it passes for one.
// Method: the same behaviours of one server in each protocol, through each provider's own package.
import assert from 'node:assert/strict';
import { classify } from '../../../src/activities/failures.ts';
import { invokeModel, type ModelReply } from '../../../src/activities/model/invoke-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import {
  type Behaviour,
  type ProviderServer,
  startProviderServer,
  type WireReply,
} from '../../support/provider-server.ts';

const REPLY: WireReply = {
  text: 'Looking now.',
  toolCalls: [
    { name: 'look', arguments: { at: 'ä "quoted" place' }, id: 'call_a' },
    { name: 'look', arguments: {}, id: 'call_b' },
  ],
  usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
};
const LOOK = {
  name: 'look',
  version: '1.0.0',
  description: 'Looks.',
  inputSchema: { type: 'object', properties: {} },
  outputSchema: {},
  effect: 'read',
} as const;

const WHOLE = ['Looking now.', ['call_a', { at: 'ä "quoted" place' }], ['call_b', {}]];

function said({ parts }: ModelReply): readonly unknown[] {
  return parts.map((part) => (part.kind === 'tool-call' ? [part.toolCallId, part.input] : 'text' in part && part.text));
}

describe('protocols', () => {
  let server: ProviderServer;

  before(async () => {
    server = await startProviderServer();
  });
  after(async () => server.close());

  const resolve = async (id: string) => {
    const address = { OPENAI_BASE_URL: server.baseUrl, ANTHROPIC_BASE_URL: server.baseUrl };
    const env = { ...address, OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k' };
    return createModels({ env, rehearsals: new Map() }).resolve({ id, outputTokensMax: 9, contextTokensMax: 9 });
  };
  const ask = async (id: string, behaviour: Behaviour): Promise<ModelReply | Error> => {
    server.next(behaviour);
    const parts = [{ kind: 'user-text' as const, text: 'Look.' }];
    const request = { instructions: 'x', parts, tools: [LOOK], outputTokensMax: 9 };
    return invokeModel(await resolve(id), request, new AbortController().signal).catch((error: Error) => error);
  };

  for (const id of ['openai:gpt-5-mini', 'openai-responses:gpt-5-mini', 'anthropic:claude-haiku-4-5']) {
    it(`reads a stream of ${id}`, async () => {
      const reply = await ask(id, { kind: 'reply', ...REPLY });
      if (reply instanceof Error) assert.fail(classify(reply).message);
      assert.deepEqual(said(reply), WHOLE);
      assert.deepEqual([reply.usage.inputTokens, reply.usage.outputTokens], [11, 7]);
      assert.deepEqual([reply.stopReason, reply.usageEstimated], ['tool-calls', false]);
    });

    it(`reads a whole body of ${id}`, async () => {
      server.next({ kind: 'reply', ...REPLY });
      const { model } = await resolve(id);
      const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Look.' }] }];
      const { content, finishReason, usage } = await model.doGenerate({ prompt });
      assert.deepEqual(
        content.flatMap((part) => (part.type === 'tool-call' ? [JSON.parse(part.input)] : [])),
        [{ at: 'ä "quoted" place' }, {}],
      );
      assert.deepEqual([finishReason.unified, usage.inputTokens.total], ['tool-calls', 11]);
    });

    it(`never takes a part of ${id} for the whole`, async () => {
      // The last events of a protocol only close what is complete and say its usage; before them every end is one in the middle.
      for (let afterChunks = 0; afterChunks < 22; afterChunks += 1) {
        for (const end of ['clean', 'reset'] as const) {
          const outcome = await ask(id, { kind: 'cut', reply: REPLY, afterChunks, end });
          if (outcome instanceof Error) assert.equal(classify(outcome).disposition, 'transient');
          else assert.deepEqual([afterChunks > 16, said(outcome)], [true, WHOLE], `${afterChunks} ${end}`);
        }
      }
    });

    it(`fails with an error inside a stream of ${id}`, async () => {
      const error = { type: 'overloaded_error', message: 'Overloaded' };
      for (const afterChunks of [1, 3, 8]) {
        const outcome = await ask(id, { kind: 'stream-error', reply: REPLY, afterChunks, error });
        assert.ok(outcome instanceof Error);
        assert.deepEqual([classify(outcome).cause, classify(outcome).disposition], ['model-error', 'transient']);
        assert.equal(classify(outcome).sent, 'maybe');
      }
    });

    it(`says that the limit cut a reply of ${id}`, async () => {
      const outcome = await ask(id, { kind: 'reply', text: 'Half of', finishReason: 'length' });
      assert.ok(outcome instanceof Error);
      assert.match(classify(outcome).message, /outputTokensMax/);
    });
  }
});
