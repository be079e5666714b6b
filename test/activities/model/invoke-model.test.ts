// Goal: every behaviour of a provider ends in a whole reply with its usage, or in a failure of a known kind.
// Method: the real HTTP client against a local server that speaks the provider's wire format and keeps its own ledger.
import assert from 'node:assert/strict';
import { classify, type Failure } from '../../../src/activities/failures.ts';
import {
  invokeModel,
  usageBound,
  type ModelReply,
  type ModelRequest,
} from '../../../src/activities/model/invoke-model.ts';
import { ModelReplyError } from '../../../src/activities/model/model-errors.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import {
  rateLimited,
  refusals,
  startProviderServer,
  type Behaviour,
  type ProviderServer,
} from '../../support/provider-server.ts';

const WEATHER = {
  name: 'weather',
  version: '1.0.0',
  description: 'Tells the weather.',
  inputSchema: { type: 'object', properties: { city: { type: 'string' } } },
  outputSchema: {},
  effect: 'read',
} as const;

const REQUEST: ModelRequest = {
  instructions: 'Be brief.',
  parts: [{ kind: 'user-text', text: 'How is the weather in Lisbon?' }],
  tools: [WEATHER],
  outputTokensMax: 100,
};

const NO_SIGNAL = new AbortController().signal;

describe('invokeModel', () => {
  let server: ProviderServer;
  const env: Record<string, string> = {};

  before(async () => {
    server = await startProviderServer();
  });
  after(async () => {
    await server.close();
  });
  beforeEach(() => {
    for (const name of Object.keys(env)) delete env[name];
    env['PERDURE_MODEL_BASE_URL'] = server.baseUrl;
    env['OPENAI_API_KEY'] = 'sk-test-secret-0123456789';
  });

  const models = createModels({ env, rehearsals: new Map() });
  const resolve = (id: string) => models.resolve({ id, outputTokensMax: 100, contextTokensMax: 1000 });
  const call = async (
    behaviour: Behaviour,
    request: Partial<ModelRequest> = {},
    id = 'openai:gpt-5-mini',
  ): Promise<ModelReply> => {
    server.next(behaviour);
    return invokeModel(await resolve(id), { ...REQUEST, ...request }, NO_SIGNAL);
  };
  const fail = async (behaviour: Behaviour): Promise<Failure> => {
    const error: unknown = await call(behaviour).then(
      (reply) => assert.fail(`got a reply: ${JSON.stringify(reply)}`),
      (thrown: unknown) => thrown,
    );
    return classify(error);
  };

  it('returns text, reasoning and usage', async () => {
    const reply = await call({
      kind: 'reply',
      reasoning: 'Think först.',
      text: 'Sonnig ☀️ in Lissabon.',
      usage: {
        prompt_tokens: 50,
        completion_tokens: 20,
        prompt_tokens_details: { cached_tokens: 30 },
        completion_tokens_details: { reasoning_tokens: 8 },
      },
    });
    assert.deepEqual(reply, {
      parts: [
        { kind: 'reasoning', text: 'Think först.' },
        { kind: 'assistant-text', text: 'Sonnig ☀️ in Lissabon.' },
      ],
      usage: { inputTokens: 50, outputTokens: 20, cacheReadTokens: 30, cacheWriteTokens: 0, reasoningTokens: 8 },
      usageEstimated: false,
      stopReason: 'stop',
      modelId: 'gpt-5-mini',
      requestId: server.ledger.at(-1)?.requestId,
    });
    assert.equal(server.ledger.at(-1)?.delivered, true);
  });

  it('returns tool calls with ids that are unique, whatever the provider sent', async () => {
    const transcript = [
      ...REQUEST.parts,
      { kind: 'tool-call', toolCallId: 'same', toolName: 'weather', input: {} },
      { kind: 'tool-result', toolCallId: 'same', toolName: 'weather', isError: false, output: 'rain' },
    ] as const;
    const toolCalls = [
      { name: 'weather', arguments: { city: 'Lisbon' }, id: 'same' },
      { name: 'weather', arguments: { city: 'Porto' }, id: 'same' },
      { name: 'weather', arguments: '', id: null },
      { name: 'weather', arguments: '{"city": Faro}', id: 'fresh' },
    ];
    const reply = await call({ kind: 'reply', toolCalls }, { parts: transcript });
    const calls = reply.parts.filter((part) => part.kind === 'tool-call');
    assert.deepEqual(
      calls.map((part) => part.input),
      [{ city: 'Lisbon' }, { city: 'Porto' }, {}, '{"city": Faro}'],
    );
    assert.equal(reply.stopReason, 'tool-calls');
    assert.equal(new Set(['same', ...calls.map((part) => part.toolCallId)]).size, 5);
    assert.ok(calls.some((part) => part.toolCallId === 'fresh'));
  });

  it('takes tool calls that end with the reason stop', async () => {
    const reply = await call({ kind: 'reply', toolCalls: [{ name: 'weather', arguments: {} }], finishReason: 'stop' });
    assert.equal(reply.stopReason, 'tool-calls');
  });

  it('bounds the usage that a provider does not say', async () => {
    const reply = await call({ kind: 'reply', text: 'Fine.', usage: null });
    assert.equal(reply.usageEstimated, true);
    assert.deepEqual(reply.usage, usageBound(REQUEST));
    const charged = server.ledger.at(-1)?.charged;
    assert.ok(reply.usage.inputTokens >= (charged?.prompt_tokens ?? Infinity));
  });

  it('reads a whole body where a server does not stream', async () => {
    const body = {
      id: 'x',
      model: 'local',
      choices: [
        {
          message: {
            role: 'assistant',
            content: 'Two\nlines.',
            tool_calls: [
              { id: 'a', function: { name: 'weather', arguments: '{"city":"A"}' } },
              { id: 'b', function: { name: 'weather', arguments: '{"city":"B"}' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 3 },
    };
    const reply = await call({ kind: 'status', status: 200, body });
    assert.deepEqual(reply.parts, [
      { kind: 'assistant-text', text: 'Two\nlines.' },
      { kind: 'tool-call', toolCallId: 'a', toolName: 'weather', input: { city: 'A' } },
      { kind: 'tool-call', toolCallId: 'b', toolName: 'weather', input: { city: 'B' } },
    ]);
    assert.equal(reply.usage.inputTokens, 5);
  });

  it('sends the limit, the key and the name of the call, and no more than the protocol knows', async () => {
    await call({ kind: 'reply', text: 'Fine.' }, { requestId: 'run-1/turn-1', temperature: 0.5 });
    const reasoning = server.ledger.at(-1);
    assert.equal(reasoning?.clientRequestId, 'run-1/turn-1');
    assert.equal(reasoning.authorization, 'Bearer sk-test-secret-0123456789');
    assert.equal(reasoning.body['max_completion_tokens'], 100);
    assert.equal(reasoning.body['temperature'], undefined);
    await call({ kind: 'reply', text: 'Fine.' }, { temperature: 0.5 }, 'openai-compatible:qwen3:8b');
    const local = server.ledger.at(-1);
    assert.equal(local?.model, 'qwen3:8b');
    assert.equal(local.body['max_tokens'], 100);
    assert.equal(local.body['temperature'], 0.5);
    assert.deepEqual(local.body['stream_options'], { include_usage: true });
  });

  const text = 'A long enough answer.';
  const words = 1 + Math.ceil(text.length / 3);
  for (const end of ['clean', 'reset'] as const) {
    for (let afterChunks = 0; afterChunks <= words; afterChunks += 1) {
      it(`refuses a reply that a ${end} end cuts after ${afterChunks} of ${words + 2} chunks`, async () => {
        const failure = await fail({ kind: 'cut', reply: { text }, afterChunks, end });
        assert.equal(failure.cause, 'model-error');
        assert.equal(failure.disposition, 'transient');
        assert.equal(failure.sent, 'maybe');
      });
    }
  }

  it('keeps a reply that is whole but for its usage', async () => {
    const reply = await call({ kind: 'cut', reply: { text }, afterChunks: words + 1, end: 'clean' });
    assert.deepEqual(reply.parts, [{ kind: 'assistant-text', text }]);
    assert.equal(reply.usageEstimated, true);
  });

  it('never takes the first half of a tool call', async () => {
    for (let afterChunks = 1; afterChunks < 8; afterChunks += 1) {
      const reply = { toolCalls: [{ name: 'weather', arguments: { city: 'Lisbon' } }] };
      const failure = await fail({ kind: 'cut', reply, afterChunks, end: 'clean' });
      assert.equal(failure.disposition, 'transient');
    }
  });

  const failing: readonly (readonly [string, Behaviour, Partial<Failure>])[] = [
    ['a wrong key', refusals.unauthorized, { cause: 'model-authentication', disposition: 'mendable', sent: 'no' }],
    ['an empty account', refusals.quotaExhausted, { cause: 'model-quota', disposition: 'mendable', sent: 'no' }],
    [
      'a rate limit',
      rateLimited(2),
      { cause: 'model-rate-limited', disposition: 'transient', retryAfterMs: 2000, sent: 'no' },
    ],
    ['a prompt that is too long', refusals.contextTooLong, { cause: 'validation', disposition: 'final', sent: 'no' }],
    ['a bad request', refusals.badRequest, { cause: 'validation', disposition: 'final', sent: 'no' }],
    ['a server error', refusals.serverError, { cause: 'model-error', disposition: 'transient', sent: 'no' }],
    ['an overloaded server', refusals.overloaded, { cause: 'model-error', disposition: 'transient', sent: 'no' }],
    [
      'a reset before the work',
      { kind: 'reset', when: 'before-work' },
      { cause: 'model-error', disposition: 'transient', sent: 'maybe' },
    ],
    [
      'a lost reply',
      { kind: 'reset', when: 'after-work' },
      { cause: 'model-error', disposition: 'transient', sent: 'maybe' },
    ],
    [
      'a reply cut at its limit',
      { kind: 'reply', text: 'A', finishReason: 'length' },
      { cause: 'model-error', disposition: 'final' },
    ],
    [
      'a filtered reply',
      { kind: 'reply', text: 'A', finishReason: 'content_filter' },
      { cause: 'guardrail-block', disposition: 'final' },
    ],
    [
      'an unknown stop reason',
      { kind: 'reply', text: 'A', finishReason: 'paused' },
      { cause: 'model-error', disposition: 'transient' },
    ],
    ['an empty reply', { kind: 'reply', text: ' \n' }, { cause: 'model-error', disposition: 'transient' }],
    [
      'a reply of nothing but reasoning',
      { kind: 'reply', reasoning: 'Hm.' },
      { cause: 'model-error', disposition: 'transient' },
    ],
    [
      'an error inside the stream',
      {
        kind: 'stream-error',
        reply: { text },
        afterChunks: 3,
        error: { message: 'Overloaded', type: 'overloaded_error' },
      },
      { cause: 'model-error', disposition: 'transient', sent: 'maybe' },
    ],
    [
      'a rate limit inside the stream',
      {
        kind: 'stream-error',
        reply: { text },
        afterChunks: 3,
        error: { message: 'Try again in 3s', code: 'rate_limit_exceeded' },
      },
      { cause: 'model-rate-limited', disposition: 'transient', retryAfterMs: 3000, sent: 'maybe' },
    ],
    [
      'an error before the usual end of a stream',
      {
        kind: 'stream-error',
        reply: { text },
        afterChunks: words + 2,
        error: { message: 'late', type: 'server_error' },
      },
      { cause: 'model-error', disposition: 'transient' },
    ],
    [
      'an error under status 200',
      { kind: 'status', status: 200, body: { error: { message: 'No provider is up', code: 502 } } },
      { cause: 'model-error', disposition: 'transient', sent: 'maybe' },
    ],
  ];
  for (const [what, behaviour, expected] of failing) {
    it(`classifies ${what}`, async () => {
      const failure = await fail(behaviour);
      assert.deepEqual({ ...failure, ...expected }, failure);
      assert.ok(failure.message.length <= 300 && !failure.message.includes('sk-'), failure.message);
    });
  }

  it('keeps the usage of a reply that cannot be used', async () => {
    const error: unknown = await call({ kind: 'reply', text: 'A', finishReason: 'length' }).catch(
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof ModelReplyError);
    assert.equal(error.usage?.outputTokens, server.ledger.at(-1)?.charged?.completion_tokens);
    assert.match(classify(error).message, /outputTokensMax/);
  });

  it('names the variable of a missing key, sends nothing, and finds the key once it is set', async () => {
    delete env['OPENAI_API_KEY'];
    const before = server.ledger.length;
    const model = await resolve('openai:gpt-5-mini');
    const error: unknown = await invokeModel(model, REQUEST, NO_SIGNAL).catch((thrown: unknown) => thrown);
    const failure = classify(error);
    assert.equal(failure.cause, 'model-authentication');
    assert.equal(failure.disposition, 'mendable');
    assert.match(failure.mend ?? '', /OPENAI_API_KEY/);
    assert.equal(failure.sent, 'no');
    assert.equal(server.ledger.length, before);
    env['OPENAI_API_KEY'] = 'sk-mended';
    await invokeModel(model, REQUEST, NO_SIGNAL);
    assert.equal(server.ledger.at(-1)?.authorization, 'Bearer sk-mended');
  });

  it('reads a key file at each call, and prefers the key of the compatible server', async () => {
    const files: Record<string, string> = {};
    const readFile = (path: string): string => files[path] ?? assert.fail(`no ${path}`);
    const fromFile = createModels({ env, readFile, rehearsals: new Map() });
    const model = await fromFile.resolve({
      id: 'openai-compatible:local',
      outputTokensMax: 100,
      contextTokensMax: 1000,
    });
    env['PERDURE_MODEL_API_KEY_FILE'] = '/run/secrets/key';
    const error: unknown = await invokeModel(model, REQUEST, NO_SIGNAL).catch((thrown: unknown) => thrown);
    assert.equal(classify(error).cause, 'model-authentication');
    for (const key of ['first', 'second']) {
      files['/run/secrets/key'] = `${key}\n`;
      await invokeModel(model, REQUEST, NO_SIGNAL);
      assert.equal(server.ledger.at(-1)?.authorization, `Bearer ${key}`);
    }
    for (const name of ['PERDURE_MODEL_API_KEY_FILE', 'OPENAI_API_KEY']) delete env[name];
    await invokeModel(model, REQUEST, NO_SIGNAL);
    assert.equal(server.ledger.at(-1)?.authorization, null);
  });

  it('releases what was held when nobody listens at the address', async () => {
    const gone = await startProviderServer();
    await gone.close();
    env['PERDURE_MODEL_BASE_URL'] = gone.baseUrl;
    const error: unknown = await invokeModel(await resolve('openai:gpt-5-mini'), REQUEST, NO_SIGNAL).catch(
      (thrown: unknown) => thrown,
    );
    const failure = classify(error);
    assert.equal(failure.cause, 'model-error');
    assert.equal(failure.sent, 'no');
  });

  it('stops a call that hangs, with the reason of its signal', async () => {
    server.next({ kind: 'hang' });
    const controller = new AbortController();
    const reason = new Error('cancelled by the run');
    setTimeout(() => controller.abort(reason), 50);
    await assert.rejects(invokeModel(await resolve('openai:gpt-5-mini'), REQUEST, controller.signal), reason);
    server.next({ kind: 'hang' });
    const late: unknown = await invokeModel(await resolve('openai:gpt-5-mini'), REQUEST, AbortSignal.timeout(50)).catch(
      (thrown: unknown) => thrown,
    );
    const failure = classify(late);
    assert.equal(failure.cause, 'model-error');
    assert.equal(failure.disposition, 'transient');
    assert.equal(failure.sent, 'maybe');
  });
});
