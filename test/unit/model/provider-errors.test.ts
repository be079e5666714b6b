// Goal: what each provider documents as an error gets one cause, one disposition and the wait that the provider asks for.
// Method: a table per provider, with statuses, headers and bodies in the shapes that they send.
import assert from 'node:assert/strict';
import {
  APICallError,
  InvalidArgumentError,
  InvalidPromptError,
  UnsupportedFunctionalityError,
} from '@ai-sdk/provider';
import { classify } from '../../../src/activities/failures.ts';
import { ModelCallError, ModelStreamError, RequestNotMade } from '../../../src/activities/model/model-errors.ts';
import { errorInBody } from '../../../src/activities/model/provider-report.ts';
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
      ['long', anthropic('request_too_large', 'Request exceeds the maximum size')],
      ['missing', anthropic('not_found_error', 'model: claude-9')],
      ['missing', { object: 'error', message: 'Invalid model: mistral-9', type: 'invalid_model', code: '1500' }],
      ['missing', { code: 'Client specified an invalid argument', error: 'Model not found: grok-9' }],
      ['locked', { code: 'Client specified an invalid argument', error: 'Incorrect API key provided: xa***34.' }],
      ['locked', anthropic('authentication_error', 'invalid x-api-key')],
    ];
    for (const [meaning, body] of rows) {
      const found = errorInBody(JSON.stringify(body)) ?? body;
      const failure = classify(new ModelCallError(PROVIDER, new ModelStreamError(found, {})));
      const tooLong = failure.isTooLong === true ? ' too-long' : '';
      assert.equal(`${failure.cause} ${failure.disposition}${tooLong}`, MEANINGS[meaning], JSON.stringify(body));
      assert.equal(failure.sent, 'maybe');
    }
  });

  it('are found in a list, and beside their code', () => {
    const error = { code: 'x', error: 'No.' };
    assert.deepEqual(errorInBody(JSON.stringify([{ candidates: [] }, error])), error);
    for (const body of ['[]', '{}', '{"error":null}', '{"error":""}', '[1]', 'null', '"x"', '']) {
      assert.equal(errorInBody(body), null, body);
    }
  });

  it('are what their status says, also where their words break off', () => {
    for (const [statusCode, meaning, code] of [
      [401, 'locked', 'UND_ERR_SOCKET'],
      [429, 'limited', 'Z_DATA_ERROR'],
      [500, 'down', 'ECONNRESET'],
    ] as const) {
      const cause = new TypeError('terminated', { cause: Object.assign(new Error('x'), { code }) });
      const error = { message: 'Failed to process error response', url: '', requestBodyValues: {}, statusCode, cause };
      const failure = classify(new ModelCallError(PROVIDER, new APICallError(error)));
      assert.equal(`${failure.cause} ${failure.disposition}`, MEANINGS[meaning]);
      assert.equal(failure.sent, 'no');
    }
  });

  it('of a package that makes no request are final, and quote only what names an option', () => {
    const option = new InvalidArgumentError({ argument: 'providerOptions', message: 'invalid x options' });
    for (const [cause, said] of [
      [option, /\(AI_InvalidArgumentError\): invalid x options$/],
      [new TypeError('My secret plan'), /cannot be sent this request \(TypeError\)$/],
    ] as const) {
      const failure = classify(new ModelCallError(PROVIDER, new RequestNotMade(cause)));
      assert.deepEqual([failure.cause, failure.disposition, failure.sent], ['validation', 'final', 'no']);
      assert.match(failure.message, said);
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
