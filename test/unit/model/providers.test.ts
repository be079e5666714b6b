// Goal: a release names the model that is really called, with its key and its price, and what is missing says how to mend it.
// Method: tables of environments.
import assert from 'node:assert/strict';
import type { ResolvedModel } from '../../../src/activities/model/invoke-model.ts';
import { ModelUnavailable } from '../../../src/activities/model/model-errors.ts';
import { createModels, effectiveModelId, type Environment } from '../../../src/activities/model/providers.ts';
import { scripted } from '../../../src/activities/model/scripted-model.ts';

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

  const unavailable: readonly (readonly [string, Environment])[] = [
    ['rehearsal:nobody', {}],
    ['scripted:nobody', {}],
    ['anthropic:claude', {}],
    ['gpt-5', {}],
    ['openai:', {}],
    ['openai-compatible:qwen3', {}],
    ['openai-compatible:qwen3', { PERDURE_MODEL_BASE_URL: 'localhost:11434' }],
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
