// Goal: a release names the model that is really called, with its key and its price, and what is missing says how to mend it.
// Method: tables of environments.
import assert from 'node:assert/strict';
import { invokeModel, type ResolvedModel } from '../../../src/activities/model/invoke-model.ts';
import { ModelUnavailable } from '../../../src/activities/model/model-errors.ts';
import { PROVIDER_NAMES } from '../../../src/activities/model/provider-table.ts';
import { createModels, effectiveModelId, type Environment } from '../../../src/activities/model/providers.ts';
import { scripted } from '../../../src/activities/model/scripted-model.ts';
import { providerName } from '../../../src/runtime/gen-ai.ts';

const LOCAL = { PERDURE_MODEL_BASE_URL: 'http://localhost:11434/v1' };

describe('effectiveModelId', () => {
  const rows: readonly (readonly [Environment, string])[] = [
    [{}, 'rehearsal:refunds'],
    [{ OPENAI_API_KEY: '' }, 'rehearsal:refunds'],
    [{ OPENAI_API_KEY: 'sk-1' }, 'openai:gpt-5-mini'],
    [{ OPENAI_API_KEY_FILE: '/run/secrets/key' }, 'openai:gpt-5-mini'],
    [{ PERDURE_MODEL: 'gpt-5' }, 'openai:gpt-5'],
    [{ OPENAI_API_KEY: 'sk-1', PERDURE_MODEL: 'gpt-5' }, 'openai:gpt-5'],
    [{ ...LOCAL, PERDURE_MODEL: 'qwen3:8b' }, 'openai-compatible:qwen3:8b'],
    [{ ...LOCAL, OPENAI_API_KEY: 'sk-1' }, 'openai-compatible:gpt-5-mini'],
    [{ ...LOCAL, PERDURE_MODEL: 'openai:gpt-5' }, 'openai:gpt-5'],
    [{ ANTHROPIC_API_KEY: 'k', PERDURE_MODEL: 'anthropic:claude-haiku-4-5' }, 'anthropic:claude-haiku-4-5'],
    [{ GROQ_API_KEY_FILE: '/run/key', PERDURE_MODEL: 'groq:openai/gpt-oss-20b' }, 'groq:openai/gpt-oss-20b'],
    [{ PERDURE_MODEL: 'bedrock:us.amazon.nova-micro-v1:0' }, 'bedrock:us.amazon.nova-micro-v1:0'],
    [{ PERDURE_MODEL: 'ollama:qwen3:8b' }, 'ollama:qwen3:8b'],
    // A model of one's own server may be called as a provider is.
    [{ ...LOCAL, PERDURE_MODEL: 'mistral:7b' }, 'openai-compatible:mistral:7b'],
    [{ ...LOCAL, MISTRAL_API_KEY: 'k', PERDURE_MODEL: 'mistral:mistral-small-latest' }, 'mistral:mistral-small-latest'],
  ];
  for (const [env, expected] of rows) {
    it(`gives ${expected} for ${JSON.stringify(env)}`, () => {
      assert.equal(effectiveModelId('rehearsal:refunds', env), expected);
      assert.equal(effectiveModelId('openai:gpt-4.1', env), 'openai:gpt-4.1');
      assert.equal(effectiveModelId('scripted:one', env), 'scripted:one');
    });
  }
});

async function resolve(id: string, env: Environment = {}): Promise<ResolvedModel> {
  const rehearsals = new Map([['refunds', () => ({ text: 'Hi.' })]]);
  const models = createModels({ env, rehearsals, scripts: new Map([['one', scripted([])]]) });
  return models.resolve({ id, outputTokensMax: 100, contextTokensMax: 1000 });
}

async function credential(id: string, env: Environment): Promise<string> {
  return (await resolve(id, env)).credential;
}

describe('createModels', () => {
  it('prices known models, and unknown ones at the ceiling only', async () => {
    assert.equal((await resolve('openai:gpt-5-mini')).price?.base.input, 250_000n);
    assert.equal((await resolve('openai:gpt-9')).price, null);
    assert.equal(
      (await resolve('openai:gpt-9', { PERDURE_MODEL_CEILING_USD_PER_MTOK: '3' })).price?.base.input,
      3_000_000n,
    );
    assert.equal((await resolve('openai-compatible:qwen3', LOCAL)).price, null);
    const ceiling = { ...LOCAL, PERDURE_MODEL_CEILING_USD_PER_MTOK: '0' };
    assert.equal((await resolve('openai-compatible:gpt-5-mini', ceiling)).price?.base.input, 0n);
  });

  it('tells simulated models from real ones', async () => {
    assert.deepEqual(
      [(await resolve('rehearsal:refunds')).simulated, (await resolve('rehearsal:refunds')).keyName],
      [true, null],
    );
    assert.equal((await resolve('scripted:one')).simulated, true);
    assert.deepEqual(
      [(await resolve('openai:gpt-5')).simulated, (await resolve('openai:gpt-5')).keyName],
      [false, 'OPENAI_API_KEY'],
    );
  });

  it('knows where a provider is, what its key is called and what to ask for by default', async () => {
    const keys = ['anthropic', 'google', 'mistral', 'groq', 'deepseek', 'xai', 'ollama', 'vllm', 'lmstudio'];
    const named = await Promise.all(keys.map(async (provider) => (await resolve(`${provider}:m`)).keyName));
    assert.deepEqual(named, [
      'ANTHROPIC_API_KEY',
      'GOOGLE_GENERATIVE_AI_API_KEY',
      'MISTRAL_API_KEY',
      'GROQ_API_KEY',
      'DEEPSEEK_API_KEY',
      'XAI_API_KEY',
      'OLLAMA_API_KEY',
      'VLLM_API_KEY',
      'LMSTUDIO_API_KEY',
    ]);
    const aws = { AWS_ACCESS_KEY_ID: 'a', AWS_REGION: 'eu-west-1' };
    assert.equal((await resolve('bedrock:m', aws)).keyName, 'AWS_ACCESS_KEY_ID');
    assert.equal((await resolve('bedrock:m', { AWS_REGION: 'eu-west-1' })).keyName, 'AWS_BEARER_TOKEN_BEDROCK');
  });

  it('calls the usual address of each provider, and no other way to a key than the one that was set', async () => {
    const asked: string[] = [];
    const fetch = async (input: string | URL | Request): Promise<Response> => {
      asked.push(new URL(input instanceof Request ? input.url : input).href);
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ECONNREFUSED' }) });
    };
    const env = {
      ...Object.fromEntries(
        ['OPENAI', 'ANTHROPIC', 'GOOGLE_GENERATIVE_AI', 'MISTRAL', 'GROQ', 'DEEPSEEK', 'XAI', 'AZURE'].map((name) => [
          `${name}_API_KEY`,
          'k',
        ]),
      ),
      AZURE_RESOURCE_NAME: 'mine',
      AWS_BEARER_TOKEN_BEDROCK: 'k',
      AWS_REGION: 'eu-west-1',
    };
    const models = createModels({ env, fetch, rehearsals: new Map() });
    const request = {
      instructions: 'x',
      parts: [{ kind: 'user-text' as const, text: 'x' }],
      tools: [],
      outputTokensMax: 1,
    };
    for (const provider of PROVIDER_NAMES.filter((name) => name !== 'openai-compatible')) {
      const resolved = await models.resolve({ id: `${provider}:m`, outputTokensMax: 1, contextTokensMax: 1 });
      await assert.rejects(() => invokeModel(resolved, request, new AbortController().signal));
    }
    assert.deepEqual(asked, [
      'https://api.openai.com/v1/chat/completions',
      'https://api.openai.com/v1/responses',
      'https://api.anthropic.com/v1/messages',
      'https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse',
      'https://api.mistral.ai/v1/chat/completions',
      'https://api.groq.com/openai/v1/chat/completions',
      'https://api.deepseek.com/chat/completions',
      'https://api.x.ai/v1/responses',
      'https://mine.openai.azure.com/openai/v1/chat/completions?api-version=v1',
      'https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse-stream',
      'http://localhost:11434/v1/chat/completions',
      'http://localhost:8000/v1/chat/completions',
      'http://localhost:1234/v1/chat/completions',
    ]);
  });

  it('names one account for the two protocols of OpenAI, another for another key or address, and never the key', async () => {
    const env = { OPENAI_API_KEY: 'sk-secret' };
    assert.equal(await credential('openai:m', env), await credential('openai-responses:m', env));
    assert.equal(await credential('openai:m', env), await credential('openai:other', env));
    assert.notEqual(await credential('openai:m', env), await credential('openai:m', { OPENAI_API_KEY: 'sk-other' }));
    assert.notEqual(
      await credential('openai:m', env),
      await credential('openai:m', { ...env, OPENAI_BASE_URL: 'http://x' }),
    );
    assert.doesNotMatch(await credential('openai:m', env), /secret/);
  });

  it('names one account for all sessions of AWS in a region, and another for each key', async () => {
    const keys = { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'ASIA1', AWS_SECRET_ACCESS_KEY: 'one' };
    const session = { ...keys, AWS_SESSION_TOKEN: 'token-one' };
    const next = { ...keys, AWS_ACCESS_KEY_ID: 'ASIA2', AWS_SECRET_ACCESS_KEY: 'two', AWS_SESSION_TOKEN: 'token-two' };
    assert.equal(await credential('bedrock:m', session), await credential('bedrock:m', next));
    assert.notEqual(
      await credential('bedrock:m', session),
      await credential('bedrock:m', { ...session, AWS_REGION: 'us-east-1' }),
    );
    assert.notEqual(
      await credential('bedrock:m', keys),
      await credential('bedrock:m', { ...keys, AWS_ACCESS_KEY_ID: 'AKIA2' }),
    );
  });

  it('has names in traces, those of the conventions where they have one', () => {
    assert.deepEqual(
      PROVIDER_NAMES.map((name) => providerName(`${name}:m`)),
      'openai openai anthropic gcp.gemini mistral_ai groq deepseek x_ai azure.ai.openai aws.bedrock ollama vllm lmstudio openai-compatible'.split(
        ' ',
      ),
    );
  });

  const unavailable: readonly (readonly [string, Environment])[] = [
    ['rehearsal:nobody', {}],
    ['scripted:nobody', {}],
    ['gpt-5', {}],
    ['openai:', {}],
    ['openai-compatible:qwen3', {}],
    ['openai-compatible:qwen3', { PERDURE_MODEL_BASE_URL: 'localhost:11434' }],
    ['nobody:model', {}],
    ['constructor:model', {}],
    ['anthropic:claude', { ANTHROPIC_BASE_URL: 'api.anthropic.com' }],
    ['azure:gpt', {}],
    ['azure:gpt', { AZURE_RESOURCE_NAME: 'evil.example/' }],
    ['bedrock:nova', {}],
    ['bedrock:nova', { AWS_REGION: 'evil.example/' }],
    ['openai:gpt-9', { PERDURE_MODEL_CEILING_USD_PER_MTOK: 'cheap' }],
  ];
  for (const [id, env] of unavailable) {
    it(`says how to mend ${id} with ${JSON.stringify(env)}`, async () => {
      await assert.rejects(
        () => resolve(id, env),
        (error) => error instanceof ModelUnavailable && error.mend.length > 10,
      );
    });
  }
});
