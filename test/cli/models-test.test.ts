// Goal: from the command line a person sees which providers work as agents need it, and what to mend of the others.
// Method: servers that speak three protocols, answer well, refuse, do not stream or call no tool; the command runs in this process.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Trial } from '../../src/activities/model/try-model.ts';
import { type Behaviour, type ProviderServer, refusals, startProviderServer } from '../support/provider-server.ts';
import { startDouble, WIRE_DOUBLES } from '../support/wire-doubles.ts';
import { capturedCli } from './captured-cli.ts';

/** Calls the tool by the name that it was told, in whatever way its protocol writes it. */
function callOf(request: unknown): Behaviour {
  const told = /"name":"([\w-]*echo[\w-]*)"/.exec(JSON.stringify(request))?.[1] ?? '';
  return { kind: 'reply', toolCalls: [{ name: told, arguments: { word: 'pear' } }] };
}

async function run(env: NodeJS.ProcessEnv, ...parameters: readonly string[]) {
  const ended = await capturedCli(env)('models', 'test', '--json', ...parameters);
  return { ...ended, trials: JSON.parse(ended.out) as readonly Trial[] };
}

describe('perdure models test', () => {
  let provider: ProviderServer;

  before(async () => {
    provider = await startProviderServer();
    provider.always((request, authorization) => {
      if (authorization === 'Bearer a-bad-key') return refusals.unauthorized;
      if (request.model === 'mute') return { kind: 'reply', text: 'I call nothing.', usage: null };
      const isAnswered = /function_call_output|tool_result|"role":"tool"/.test(JSON.stringify(request));
      return isAnswered ? { kind: 'reply', text: 'It said pear.' } : callOf(request);
    });
  });
  after(async () => provider.close());

  it('says of each configured provider what works', async () => {
    const env = {
      OPENAI_API_KEY: 'k',
      OPENAI_BASE_URL: provider.baseUrl,
      ANTHROPIC_API_KEY: 'k',
      ANTHROPIC_BASE_URL: provider.baseUrl,
    };
    const { exitCode, trials, said } = await run(env);
    assert.deepEqual([exitCode, said], [0, '']);
    assert.deepEqual(
      trials.map(({ model }) => model),
      ['openai:gpt-5-nano', 'openai-responses:gpt-5-nano', 'anthropic:claude-haiku-4-5'],
    );
    for (const { reachable, authenticated, toolCall, streamed, answered, usage, price, costUsd, ...rest } of trials) {
      assert.deepEqual([reachable, authenticated, toolCall, streamed, rest.error], [true, true, true, true, null]);
      assert.deepEqual([answered, price], [null, 'known']);
      assert.ok((usage?.inputTokens ?? 0) > 0 && (rest.latencyMs ?? -1) >= 0 && Number(costUsd) > 0);
    }
    // One call of each, with a tool whose name no provider takes as it is.
    assert.equal(provider.ledger.length, 3);
    assert.doesNotMatch(JSON.stringify(provider.ledger.map(({ body }) => body['tools'])), /perdure\.echo/);
    const { out } = await capturedCli(env)('models', 'test');
    assert.match(out, /^anthropic +yes +yes +yes +yes +\d+\+\d+ +known +[\d.]+ USD .* anthropic:claude-haiku-4-5$/m);
  });

  it('gives the model the result of its call where that is asked for, in a second call', async () => {
    const env = { ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: provider.baseUrl };
    const before = provider.ledger.length;
    const { exitCode, trials } = await run(env, '--answer');
    assert.deepEqual([exitCode, trials[0]?.answered, provider.ledger.length - before], [0, true, 2]);
    const { out } = await capturedCli(env)('models', 'test', '--answer');
    assert.match(out, /tool call +answer/);
  });

  it('knows a price that a person wrote down, and says that one is missing', async () => {
    const env = { PERDURE_MODEL_BASE_URL: provider.baseUrl };
    const { trials } = await run(env, '--model', 'openai-compatible:nobody-knows');
    assert.deepEqual([trials[0]?.price, trials[0]?.costUsd, trials[0]?.toolCall], ['none', null, true]);
    const ceiling = { ...env, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };
    const { trials: capped } = await run(ceiling, '--model', 'openai-compatible:nobody-knows');
    assert.equal(capped[0]?.price, 'ceiling');
    assert.ok(Number(capped[0]?.costUsd) > 0);
    const { out } = await capturedCli(env)('models', 'test', '--model', 'openai-compatible:nobody-knows');
    assert.match(out, /has no price, so runs of it are refused/);
  });

  it('says what is wrong with a key and how to mend it, and ends with 1', async () => {
    const env = { MISTRAL_API_KEY: 'a-bad-key', MISTRAL_BASE_URL: provider.baseUrl, XAI_BASE_URL: provider.baseUrl };
    const { exitCode, trials, said } = await run(env);
    assert.equal(exitCode, 1);
    assert.match(said, /2 providers of 2/);
    assert.deepEqual(
      trials.map(({ reachable, authenticated, error }) => [reachable, authenticated, error?.cause, error?.mend]),
      [
        [
          true,
          false,
          'model-authentication',
          'Set MISTRAL_API_KEY, or the file that MISTRAL_API_KEY_FILE names, to a key that may use this model.',
        ],
        [null, null, 'model-authentication', 'Set XAI_API_KEY, or XAI_API_KEY_FILE to a file that holds it.'],
      ],
    );
    const { out } = await capturedCli(env)('models', 'test');
    assert.match(out, /^mistral: model-authentication: .*\n {2}→ Set MISTRAL_API_KEY/m);
    assert.doesNotMatch(out, /a-bad-key/);
  });

  it('tries one model by its id, and does not take words for a tool call', async () => {
    const env = { PERDURE_MODEL_BASE_URL: provider.baseUrl, OPENAI_API_KEY: 'k' };
    const { exitCode, trials } = await run(env, '--model', 'openai-compatible:mute');
    const [trial] = trials;
    assert.deepEqual([exitCode, trials.length, trial?.toolCall, trial?.usage], [1, 1, false, null]);
    assert.equal(provider.ledger.at(-1)?.model, 'mute');
  });

  it('tells a server that does not stream', async () => {
    const double = await startDouble();
    const wire = WIRE_DOUBLES['google'];
    double.answer((request) => {
      const [name = ''] = wire?.toolNames(request) ?? [];
      return wire?.reply([{ id: 'c', name, arguments: { word: 'pear' } }]) ?? {};
    });
    const { trials } = await run(wire?.env(double.origin) ?? {}, '--model', 'google:m');
    await double.close();
    assert.deepEqual([trials[0]?.streamed, trials[0]?.toolCall], [false, true]);
  });

  it('asks a server of one’s own what it serves, and says when nobody is there', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.setHeader('content-type', 'application/json');
      response.statusCode = request.headers.authorization === undefined ? 200 : 401;
      response.end(JSON.stringify({ data: [{ id: 'nomic-embed-text' }, { id: 'qwen3:8b' }] }));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const { trials } = await run({ OLLAMA_BASE_URL: url });
    assert.equal(trials[0]?.model, 'ollama:qwen3:8b');
    assert.deepEqual(asked.slice(0, 2), ['/v1/models', '/v1/chat/completions']);
    const { trials: locked } = await run({ OLLAMA_BASE_URL: url, OLLAMA_API_KEY: 'k' });
    assert.deepEqual([locked[0]?.authenticated, locked[0]?.error?.cause], [false, 'model-authentication']);
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    const { exitCode, trials: away } = await run({ OLLAMA_BASE_URL: url });
    assert.deepEqual([exitCode, away[0]?.reachable, away[0]?.error?.cause], [1, false, 'model-error']);
    assert.match(away[0]?.error?.message ?? '', /could not be reached/);
  });

  it('asks for a name where nobody can know one', async () => {
    const { exitCode, trials } = await run({ AZURE_API_KEY: 'k', AZURE_RESOURCE_NAME: 'mine' });
    assert.deepEqual([exitCode, trials[0]?.error?.mend], [1, 'Name one of them with --model azure:NAME.']);
  });

  it('makes no call where nothing is configured', async () => {
    const { exitCode, trials, said } = await run({ PATH: '/bin', AWS_ACCESS_KEY_ID: 'for something else' });
    assert.deepEqual([exitCode, trials], [0, []]);
    assert.match(said, /no provider/);
  });
});
