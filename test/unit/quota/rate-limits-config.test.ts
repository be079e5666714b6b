// Goal: limits are read as operators write them, and what cannot be used is refused at the start with what was expected.
// Method: a table of values of PERDURE_MODEL_LIMITS, and a file.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRule } from '../../../src/domain/quota/rate-limit.ts';
import { ConfigurationError } from '../../../src/runtime/config.ts';
import { readRateLimits } from '../../../src/runtime/rate-limits.ts';
import { readModelLimits } from '../../../src/workers/model-limits.ts';
import { testFolder } from '../../support/servers.ts';

const read = (text: string) => readRateLimits({ PERDURE_MODEL_LIMITS: text });
const readAll = (text: string) => readModelLimits({ PERDURE_MODEL_LIMITS: text });

describe('PERDURE_MODEL_LIMITS', () => {
  it('is no limit when it is not set', () => {
    assert.deepEqual(readRateLimits({}), []);
    assert.deepEqual(read(' '), []);
  });

  it('gives what a window may hold', () => {
    const text =
      '{"openai":{"requestsPerMinute":500,"tokensPerMinute":200000},"azure":{"requestsPerMinute":300,"windowSeconds":10}}';
    assert.deepEqual(read(text), [
      { subject: 'openai', limit: { windowMs: 60_000, requests: 500, tokens: 200_000 } },
      { subject: 'azure', limit: { windowMs: 10_000, requests: 50, tokens: null } },
    ]);
  });

  it('may be the path of a file', async () => {
    const path = join(await testFolder(), 'limits.json');
    writeFileSync(path, '{"openai":{"tokensPerMinute":60000}}');
    assert.deepEqual(read(path), [{ subject: 'openai', limit: { windowMs: 60_000, requests: null, tokens: 60_000 } }]);
  });

  it('applies the rule of a model before that of its provider', () => {
    const rules = read('{"openai":{"tokensPerMinute":1000},"openai:gpt-5":{"tokensPerMinute":2000}}');
    assert.equal(findRule(rules, 'openai:gpt-5')?.subject, 'openai:gpt-5');
    assert.equal(findRule(rules, 'openai:gpt-5-mini')?.subject, 'openai');
    assert.equal(findRule(rules, 'openai-compatible:gpt-5'), null);
  });

  it('says that a provider does not count what it reads from its cache', () => {
    const limit = { windowMs: 60_000, requests: null, tokens: 1_000, freeCacheReads: true };
    assert.deepEqual(read('{"anthropic":{"tokensPerMinute":1000,"countsCacheReads":false}}'), [
      { subject: 'anthropic', limit },
    ]);
    const counts = read('{"anthropic":{"tokensPerMinute":1000,"countsCacheReads":true}}');
    assert.equal(counts[0]?.limit.freeCacheReads, undefined);
  });

  it('refuses a provider that there is not', () => {
    assert.throws(
      () => readAll('{"opneai":{"tokensPerMinute":1000}}'),
      /PERDURE_MODEL_LIMITS: opneai is of no provider; providers are .*openai, /,
    );
    assert.throws(() => readAll('{"constructor:x":{"tokensPerMinute":1000}}'), ConfigurationError);
    for (const subject of ['openai', 'openai-compatible:qwen3', 'scripted:one', 'recorded:incident']) {
      assert.equal(readAll(`{"${subject}":{"tokensPerMinute":1000}}`)[0]?.subject, subject);
    }
  });

  for (const [text, problem] of [
    ['/no/such/file', /must be JSON that begins with { or the path of a file.*ENOENT/],
    ['{"openai"', /is not JSON; write it as/],
    ['{"openai":{}}', /openai must have requestsPerMinute, tokensPerMinute or both/],
    ['{"openai":{"requestsPerMinute":0}}', /requestsPerMinute must be at least 2, got 0/],
    ['{"openai":{"tokensPerMinute":"many"}}', /tokensPerMinute must be a number, got "many"/],
    ['{"openai":{"tokensPerMinutes":1}}', /openai must have requestsPerMinute/],
    ['{"openai":{"tokensPerMinute":1000,"windowSeconds":90}}', /windowSeconds must be at most 60/],
    ['{"openai":{"requestsPerMinute":10,"windowSeconds":1}}', /openai allows less than one request in 1 s/],
    ['{"Open AI":{"tokensPerMinute":1000}}', /Open AI|provider/],
  ] as const) {
    it(`refuses ${text}`, () => {
      assert.throws(
        () => read(text),
        (error) =>
          error instanceof ConfigurationError &&
          problem.test(error.message) &&
          error.message.startsWith('PERDURE_MODEL_LIMITS'),
      );
    });
  }
});
