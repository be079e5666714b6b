// Goal: an agent can only ask for what a provider's cache has, and what is kept for an hour is never taken for less.
// Method: tables of policies with what is refused, and of usages as providers say them.
import assert from 'node:assert/strict';
import { withHours } from '../../../src/activities/model/prompt-cache.ts';
import type { PromptCachePolicy } from '../../../src/domain/model/prompt-cache.ts';
import { NO_USAGE } from '../../../src/domain/model/usage.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';

const keeper = (promptCache: PromptCachePolicy) =>
  testAgent('keeper', {
    models: { standard: { id: 'anthropic:any', outputTokensMax: 1, contextTokensMax: 1, promptCache } },
  });

describe('a policy of prompt caching', () => {
  for (const policy of [
    'off',
    {},
    { lifetime: '1h' },
    { sharedLifetime: '1h', lifetime: '5m', retention: '24h' },
  ] as const) {
    it(`may be ${JSON.stringify(policy)}`, () => assert.ok(keeper(policy)));
  }

  it('takes all that was written to be kept for an hour where the provider does not say how much was', () => {
    const usage = { ...NO_USAGE, inputTokens: 100, cacheWriteTokens: 60 };
    const request = { key: 'k', policy: { sharedLifetime: '1h' } } as const;
    assert.equal(withHours(usage, { cache_creation_input_tokens: 60 }, request)?.cacheWriteHourTokens, 60);
    const said = { cache_creation_input_tokens: 60, cache_creation: { ephemeral_5m_input_tokens: 60 } };
    assert.deepEqual(
      [withHours(usage, said, request), withHours(usage, {}, { key: 'k' }), withHours(null, {}, request)],
      [usage, usage, null],
    );
  });

  for (const [what, policy, problem] of [
    ['a lifetime that no provider has', { lifetime: '2h' }, /promptCache.lifetime must be 5m or 1h, got "2h"/],
    ['a word that means nothing', 'of', /promptCache must be "off" or an object/],
    ['a member that is none', { ttl: '1h' }, /promptCache.ttl is not known/],
    ['minutes before an hour', { lifetime: '1h', sharedLifetime: '5m' }, /must not be shorter than lifetime/],
  ] as const) {
    it(`refuses ${what} in an agent`, () => {
      assert.throws(() => keeper(policy as PromptCachePolicy), problem);
    });
  }
});
