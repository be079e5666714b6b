// Goal: what each provider documents as an error gets one cause, one disposition and the wait that the provider asks for.
// Method: a table per provider, with statuses, headers and bodies in the shapes that they send.
import assert from 'node:assert/strict';
import { APICallError, InvalidPromptError, UnsupportedFunctionalityError } from '@ai-sdk/provider';
import { classify } from '../../../src/activities/failures.ts';
import { ModelCallError, ModelStreamError } from '../../../src/activities/model/model-errors.ts';
import { anthropic, google, type Headers, MEANINGS, openAi, PROVIDER_ERRORS } from './provider-error-table.ts';

const inMs = (delayMs: number): string => new Date(Date.now() + delayMs).toISOString();
const PROVIDER = { id: 'some:model', keyName: 'SOME_KEY' };

function refused(statusCode: number, body: unknown, responseHeaders: Headers = {}): Error {
  const responseBody = typeof body === 'string' ? body : JSON.stringify(body);
  const error = { message: 'x', url: 'http://x', requestBodyValues: {}, statusCode, responseHeaders, responseBody };
  return new ModelCallError(PROVIDER, new APICallError(error));
}

describe('errors of providers', () => {
  for (const [provider, rows] of Object.entries(PROVIDER_ERRORS)) {
    for (const [meaning, status, body, headers, waitMs] of rows) {
      const words = JSON.stringify(body).slice(0, 90);
      it(`of ${provider}: ${status} ${words} is ${meaning}`, () => {
        const failure = classify(refused(status, body, headers));
        const tooLong = failure.isTooLong === true ? ' too-long' : '';
        assert.equal(`${failure.cause} ${failure.disposition}${tooLong}`, MEANINGS[meaning], failure.message);
        assert.equal(failure.retryAfterMs, waitMs);
        assert.equal(failure.mend !== undefined, failure.disposition === 'mendable' || meaning === 'missing');
      });
    }
  }

  it('come with a moment instead of a wait', () => {
    for (const [name, value] of [
      ['anthropic-ratelimit-requests', inMs(40_000)],
      ['x-ratelimit', String(Date.now() + 40_000)],
      ['x-ratelimit', String(Math.ceil((Date.now() + 40_000) / 1000))],
    ] as const) {
      const headers = { [`${name}-remaining`]: '0', [`${name}-reset`]: value };
      const { retryAfterMs = 0 } = classify(refused(429, {}, headers));
      assert.ok(retryAfterMs > 35_000 && retryAfterMs <= 41_000, `${name} ${value}: ${retryAfterMs}`);
    }
  });

  it('inside a reply may have been charged', () => {
    const rows: readonly (readonly [keyof typeof MEANINGS, unknown])[] = [
      ['down', anthropic('overloaded_error', 'Overloaded')],
      ['limited', { type: 'throttlingException', message: 'Too many tokens' }],
      ['invalid', { type: 'validationException', message: 'The request is not good' }],
      ['down', { type: 'modelStreamErrorException', message: 'x', originalStatusCode: 500 }],
      ['down', google(503, 'UNAVAILABLE', 'The model is overloaded.')],
      ['quota', openAi('You exceeded your current quota.', 'insufficient_quota', 'insufficient_quota')],
      ['long', openAi('Your input exceeds the context window.', 'invalid_request_error', 'context_length_exceeded')],
    ];
    for (const [meaning, body] of rows) {
      const failure = classify(new ModelCallError(PROVIDER, new ModelStreamError(body, {})));
      const tooLong = failure.isTooLong === true ? ' too-long' : '';
      assert.equal(`${failure.cause} ${failure.disposition}${tooLong}`, MEANINGS[meaning], JSON.stringify(body));
      assert.equal(failure.sent, 'maybe');
    }
  });

  it('of a package that refuses a request say what it refuses, and quote no prompt', () => {
    const file = new UnsupportedFunctionalityError({ functionality: 'file part media type image/tiff' });
    const failure = classify(new ModelCallError(PROVIDER, file));
    assert.deepEqual([failure.cause, failure.disposition, failure.sent], ['validation', 'final', 'no']);
    assert.match(failure.message, /image\/tiff/);
    const prompt = new InvalidPromptError({ prompt: 'My secret plan', message: 'My secret plan is odd' });
    assert.doesNotMatch(classify(new ModelCallError(PROVIDER, prompt)).message, /secret/);
  });
});
