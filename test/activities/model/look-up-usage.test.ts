// Goal: what a provider knows of a call is read as exactly as a reply's usage, and whatever is not an answer settles nothing.
// Method: the tests' provider over real HTTP, asked about calls that it has charged, refused, not finished and never seen.
import assert from 'node:assert/strict';
import { usageLookup } from '../../../src/activities/model/look-up-usage.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { usageOfCall } from '../../support/crash/receipts.ts';
import { type ProviderServer, refusals, startProviderServer } from '../../support/provider-server.ts';

describe('the usage of a call', () => {
  let provider: ProviderServer;

  before(async () => {
    provider = await startProviderServer();
  });
  after(async () => provider.close());

  const known = async (id: string, template = `${provider.baseUrl}/usage/{id}`) => {
    const lookUp = usageLookup({ template, readKey: () => 'k', fetch: globalThis.fetch });
    return lookUp?.(id, AbortSignal.timeout(2_000));
  };

  const call = async (id: string): Promise<void> => {
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hello' }] });
    const headers = { 'x-client-request-id': id };
    const response = await fetch(`${provider.baseUrl}/chat/completions`, { method: 'POST', headers, body });
    await response.text();
  };

  it('is what the reply said, kind by kind', async () => {
    provider.next({ kind: 'reply', text: 'Hello', usage: usageOfCall(9) });
    await call('run 1/a');
    assert.deepEqual(await known('run 1/a'), {
      kind: 'charged',
      usage: { inputTokens: 1_333, outputTokens: 149, cacheReadTokens: 117, cacheWriteTokens: 0, reasoningTokens: 28 },
    });
  });

  it('is nothing for a call that was refused', async () => {
    provider.next(refusals.badRequest);
    await call('refused');
    assert.deepEqual(await known('refused'), { kind: 'free' });
  });

  it('is not known for a call that never came, or when nobody answers', async () => {
    assert.deepEqual(await known('never-came'), { kind: 'unknown' });
    assert.deepEqual(await known('any', 'http://127.0.0.1:9/{id}'), { kind: 'unknown' });
  });

  for (const [what, body] of [
    ['no JSON', 'charged'],
    ['no usage', '{}'],
    ['usage without numbers', '{"usage":{}}'],
    ['an empty prompt', '{"usage":{"prompt_tokens":0,"completion_tokens":5}}'],
    ['half a token', '{"usage":{"prompt_tokens":1.5,"completion_tokens":5}}'],
    ['numbers as text', '{"usage":{"prompt_tokens":"10","completion_tokens":"5"}}'],
  ] as const) {
    it(`is not known from an answer with ${what}`, async () => {
      const lookUp = usageLookup({
        template: 'http://provider/{id}',
        readKey: () => '',
        fetch: async () => new Response(body),
      });
      assert.deepEqual(await lookUp?.('any', AbortSignal.timeout(1_000)), { kind: 'unknown' });
    });
  }

  it('is asked only where an address is configured, and never of another provider', () => {
    assert.equal(lookupOf('openai-compatible:m'), null);
    assert.equal(lookupOf('openai:m', 'http://provider/{id}'), null);
    assert.equal(typeof lookupOf('openai-compatible:m', 'http://provider/{id}'), 'function');
    for (const url of ['http://provider/usage', 'provider/{id}', 'ftp://provider/{id}']) {
      assert.throws(() => lookupOf('openai-compatible:m', url), /PERDURE_MODEL_USAGE_URL is not an HTTP address/);
    }
  });
});

function lookupOf(model: string, url?: string) {
  return createModels({ env: { PERDURE_MODEL_USAGE_URL: url }, rehearsals: new Map() }).usageLookup?.(model);
}
