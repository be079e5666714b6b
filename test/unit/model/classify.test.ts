// Goal: every error that an activity can catch has one cause, one disposition and a message that may be kept.
// Method: a table of errors as the libraries throw them, with bodies as providers send them.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { APICallError } from '@ai-sdk/provider';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { classify, classifyTool, toApplicationFailure, type Failure } from '../../../src/activities/failures.ts';
import {
  ModelCallError,
  ModelReplyError,
  ModelStreamError,
  ModelUnavailable,
  ScriptError,
} from '../../../src/activities/model/model-errors.ts';
import { ToolUnreachable } from '../../../src/authoring/index.ts';

const PROVIDER = { id: 'openai:gpt-5-mini', keyName: 'OPENAI_API_KEY' };

function refused(
  statusCode: number,
  body: unknown = {},
  responseHeaders: Record<string, string> = {},
  asked: unknown = {},
): Error {
  const responseBody = typeof body === 'string' ? body : JSON.stringify(body);
  return new APICallError({
    message: 'x',
    url: 'http://x',
    requestBodyValues: asked,
    statusCode,
    responseHeaders,
    responseBody,
  });
}

function said(statusCode: number, message: string, code?: string, headers: Record<string, string> = {}): Error {
  return refused(statusCode, { error: { message, code } }, headers);
}

function coded(code: string, fields: object = {}): Error {
  return Object.assign(new Error(`connect ${code}`), { code, ...fields });
}

function called(cause: unknown): Error {
  return new ModelCallError(PROVIDER, cause);
}

const fetchFailed = (code: string, fields: object = {}): Error =>
  new TypeError('fetch failed', { cause: coded(code, fields) });
const retryInfo = { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.4s' };

type Row = readonly [string, Error, Partial<Failure>];
const limited = { cause: 'model-rate-limited', disposition: 'transient', sent: 'no' } as const;
const quota = { cause: 'model-quota', disposition: 'mendable', sent: 'no' } as const;
const locked = { cause: 'model-authentication', disposition: 'mendable', sent: 'no' } as const;
const down = { cause: 'model-error', disposition: 'transient', sent: 'maybe' } as const;
const unreached = { ...down, sent: 'no' } as const;
const invalid = { cause: 'validation', disposition: 'final', sent: 'no' } as const;
const blocked = { cause: 'guardrail-block', disposition: 'final', sent: 'maybe' } as const;
const database = { cause: 'infra', disposition: 'transient' } as const;

const TABLE: readonly Row[] = [
  [
    '429 with seconds',
    said(429, 'slow down', 'rate_limit_exceeded', { 'retry-after': '7' }),
    { ...limited, retryAfterMs: 7000 },
  ],
  [
    '429 with milliseconds',
    said(429, 'slow down', undefined, { 'retry-after-ms': '150.5', 'retry-after': '1' }),
    { ...limited, retryAfterMs: 151 },
  ],
  ['429 with words', said(429, 'Limit 30000. Please try again in 1.2s. Visit x.'), { ...limited, retryAfterMs: 1200 }],
  ['429 with minutes', said(429, 'Please try again in 6m0s.'), { ...limited, retryAfterMs: 360_000 }],
  ['429 with milliseconds in words', said(429, 'Please try again in 20ms.'), { ...limited, retryAfterMs: 20 }],
  ['429 with a past date', said(429, '', undefined, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }), limited],
  ['429 with a day', said(429, 'Please try again in 23h0m0s'), { ...limited, retryAfterMs: 3_600_000 }],
  ['429 without a hint', refused(429, '<html>Too many requests</html>'), limited],
  [
    '429 of Google',
    refused(429, [
      {
        error: {
          code: 429,
          message: 'You exceeded your current quota, please check your plan and billing details',
          status: 'RESOURCE_EXHAUSTED',
          details: [retryInfo],
        },
      },
    ]),
    { ...limited, retryAfterMs: 34_400 },
  ],
  ['429 of an empty account', said(429, 'You exceeded your current quota', 'insufficient_quota'), quota],
  [
    '429 of an empty account with a hint',
    said(429, 'You exceeded your current quota', 'insufficient_quota', { 'retry-after': '1' }),
    quota,
  ],
  [
    '429 of a request above the limit',
    said(429, 'Request too large for gpt-4o on tokens per min', 'rate_limit_exceeded'),
    quota,
  ],
  ['402', refused(402, { error: { message: 'Insufficient Balance' } }), quota],
  [
    '400 of an empty account',
    refused(400, {
      type: 'error',
      error: { type: 'invalid_request_error', message: 'Your credit balance is too low to access the API' },
    }),
    quota,
  ],
  [
    '401',
    said(401, 'Incorrect API key provided: sk-abcdef0123456789', 'invalid_api_key'),
    {
      ...locked,
      mend: 'Set OPENAI_API_KEY, or the file that OPENAI_API_KEY_FILE names, to a key that may use this model.',
    },
  ],
  ['403', said(403, 'Country not supported', 'unsupported_country'), locked],
  [
    '400 for a key',
    refused(400, {
      error: { code: 400, message: 'API key not valid. Please pass a valid API key.', status: 'INVALID_ARGUMENT' },
    }),
    locked,
  ],
  [
    '400 for a context',
    said(400, "This model's maximum context length is 8192 tokens", 'context_length_exceeded'),
    invalid,
  ],
  [
    '400 for a context in words',
    refused(400, {
      type: 'error',
      error: { type: 'invalid_request_error', message: 'prompt is too long: 208000 tokens > 200000 maximum' },
    }),
    invalid,
  ],
  ['413', refused(413, 'Payload too large'), invalid],
  ['400 for content', said(400, 'The response was filtered', 'content_filter'), blocked],
  [
    '400 for usage policies',
    said(400, 'Your prompt was flagged as potentially violating our usage policy.', 'invalid_prompt'),
    blocked,
  ],
  ['400 for a parameter', said(400, "Unsupported parameter: 'max_tokens'", 'unsupported_parameter'), invalid],
  ['422 of FastAPI', refused(422, { detail: 'field required' }), invalid],
  [
    '404',
    said(404, 'The model x does not exist', 'model_not_found'),
    { cause: 'model-error', disposition: 'mendable', sent: 'no', isNotFound: true },
  ],
  ['408', refused(408), down],
  ['409', refused(409), unreached],
  ['500', said(500, 'The server had an error'), unreached],
  ['502 in HTML', refused(502, '<html><title>Bad gateway</title></html>'), down],
  ['503 with a hint', refused(503, {}, { 'retry-after': '3' }), { ...unreached, retryAfterMs: 3000 }],
  ['529', refused(529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }), unreached],
  ['an overload inside a stream', new ModelStreamError({ type: 'overloaded_error', message: 'Overloaded' }, []), down],
  [
    'a context inside a stream',
    new ModelStreamError({ code: 'context_length_exceeded', message: 'long' }, []),
    { ...invalid, sent: 'maybe' },
  ],
  [
    'a bad request inside a stream',
    new ModelStreamError({ type: 'invalid_request_error', message: 'no' }, []),
    { ...invalid, sent: 'maybe' },
  ],
  ['a refused connection', fetchFailed('ECONNREFUSED'), unreached],
  ['an unknown host', fetchFailed('ENOTFOUND'), unreached],
  [
    'several refused addresses',
    new TypeError('fetch failed', { cause: new AggregateError([coded('ECONNREFUSED')], '') }),
    unreached,
  ],
  ['a connection that takes too long', fetchFailed('UND_ERR_CONNECT_TIMEOUT'), unreached],
  ['a reset', fetchFailed('ECONNRESET'), down],
  ['headers that take too long', fetchFailed('UND_ERR_HEADERS_TIMEOUT'), down],
  [
    'a certificate',
    fetchFailed('SELF_SIGNED_CERT_IN_CHAIN'),
    { cause: 'model-error', disposition: 'mendable', sent: 'no' },
  ],
  [
    'a reset while the reply is read',
    new APICallError({
      message: 'Failed to process successful response',
      url: '',
      requestBodyValues: {},
      statusCode: 200,
      cause: fetchFailed('UND_ERR_SOCKET'),
    }),
    down,
  ],
  ['a host out of reach', fetchFailed('EHOSTUNREACH', { syscall: 'connect' }), unreached],
  ['a host that goes out of reach', fetchFailed('EHOSTUNREACH', { syscall: 'read' }), down],
  ['a network that goes away', fetchFailed('ENETUNREACH'), down],
  [
    'several silent addresses',
    new TypeError('fetch failed', { cause: new AggregateError([coded('ETIMEDOUT', { syscall: 'connect' })], '') }),
    unreached,
  ],
  [
    'a server without TLS',
    fetchFailed('ERR_SSL_WRONG_VERSION_NUMBER'),
    { cause: 'model-error', disposition: 'mendable', sent: 'no' },
  ],
  ['TLS that breaks later', fetchFailed('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'), down],
  ['a protocol error while writing', fetchFailed('EPROTO', { syscall: 'write' }), down],
  [
    'a port that fetch refuses',
    new TypeError('fetch failed', { cause: new Error('bad port') }),
    { cause: 'model-error', disposition: 'mendable', sent: 'no' },
  ],
  ['an abort', new DOMException('aborted', 'AbortError'), down],
  [
    'a script without a reply',
    new ScriptError('Call 3 is not in the script'),
    { cause: 'model-error', disposition: 'final', sent: 'no' },
  ],
  ['anything else of a provider', new Error('Hello customer 4711'), down],
];

/** Errors that no model call has wrapped. */
const BARE: readonly Row[] = [
  ['a refused call without its context', said(401, 'no'), locked],
  ['a missing key', new ModelUnavailable('model-authentication', 'No key', 'Set X.'), { ...locked, mend: 'Set X.' }],
  ['an interrupted reply', new ModelReplyError('interrupted', PROVIDER, null), down],
  [
    'a reply that fills the context',
    new ModelReplyError('context-full', PROVIDER, null),
    { ...invalid, sent: 'maybe', isTooLong: true },
  ],
  ['an empty reply', new ModelReplyError('empty', PROVIDER, null), down],
  ['a filtered reply', new ModelReplyError('content-filter', PROVIDER, null), blocked],
  [
    'a reply at its limit',
    new ModelReplyError('length', PROVIDER, null),
    { cause: 'model-error', disposition: 'final', sent: 'maybe' },
  ],
  [
    'a tool out of reach',
    new ToolUnreachable('No orders service'),
    { cause: 'tool-error', disposition: 'mendable', sent: 'no', message: 'No orders service' },
  ],
  [
    "a tool's refused fetch",
    fetchFailed('ECONNREFUSED'),
    { cause: 'tool-error', disposition: 'transient', sent: 'no' },
  ],
  ["a tool's reset fetch", fetchFailed('ECONNRESET'), { cause: 'tool-error', disposition: 'transient', sent: 'maybe' }],
  ['a database that is down', coded('ECONNREFUSED'), { ...database, sent: 'no' }],
  ['a database that resets', coded('ECONNRESET'), database],
  ['a database that stops', coded('57P01', { severity: 'FATAL' }), database],
  ['a database that starts', coded('57P03'), database],
  ['too many connections', coded('53300'), database],
  ['a deadlock', coded('40P01'), database],
  ['a broken connection', new Error('Connection terminated unexpectedly'), database],
  ['a pool that waits too long', new Error('timeout exceeded when trying to connect'), database],
  ['a wrong password', coded('28P01'), { cause: 'infra', disposition: 'mendable' }],
  ['a missing table', coded('42P01'), { cause: 'infra', disposition: 'mendable' }],
  [
    'a broken constraint',
    coded('23505', { table: 'effect', constraint: 'effect_pkey' }),
    { cause: 'infra', disposition: 'final', message: 'PostgreSQL refused with 23505: effect effect_pkey' },
  ],
  ['a pipe', coded('EPIPE'), database],
  ['a mistake of ours', new RangeError('Hello customer 4711'), database],
];

describe('classify', () => {
  for (const [what, error, expected] of [
    ...TABLE.map(([name, cause, row]): Row => [name, called(cause), row]),
    ...BARE,
  ]) {
    it(`knows ${what}`, () => {
      const failure = classify(error);
      assert.deepEqual({ ...failure, ...expected }, failure);
      assert.ok(failure.message !== '' && failure.message.length <= 300);
      assert.doesNotMatch(failure.message, /4711|sk-abc/);
    });
  }

  it('reads a date in retry-after', () => {
    const date = new Date(Date.now() + 30_000).toUTCString();
    const { retryAfterMs } = classify(said(429, 'slow', undefined, { 'retry-after': date }));
    assert.ok(retryAfterMs !== undefined && retryAfterMs > 25_000 && retryAfterMs <= 30_000, String(retryAfterMs));
  });

  it('keeps secrets out of messages', () => {
    const message =
      'Key sk-proj-abc_DEF-123 and Bearer abcdefgh.ijk with api_key=hunter2hunter2 at https://user:pw@host/';
    const kept = classify(called(said(400, message))).message;
    assert.doesNotMatch(kept, /abc_DEF|abcdefgh|hunter2|user:pw/);
    assert.match(kept, /^openai:gpt-5-mini refused the request \(400\): Key \[redacted\]/);
  });

  it('keeps the words of the conversation out of messages', () => {
    const asked = {
      model: 'm',
      messages: [{ role: 'user', content: 'My card number is 4111 1111 1111 1111, please refund me' }],
    };
    const body = {
      error: { message: "Input should be shorter: 'My card number is 4111 1111 1111 1111, pl…'", code: 'too_odd' },
    };
    assert.equal(
      classify(called(refused(400, body, {}, asked))).message,
      'openai:gpt-5-mini refused the request (400 too_odd)',
    );
  });

  it('shortens a long message', () => {
    assert.equal(classify(called(said(500, 'long words '.repeat(100)))).message.length, 300);
  });

  it('says where a mistake of ours was made', () => {
    assert.match(classify(new TypeError('x')).message, /^Unexpected TypeError at classify\.test\.ts:\d+$/);
  });

  it('reads the error bodies of recorded traffic', function () {
    const folder = join(process.env['PERDURE_CASES'] ?? '../shared/cases', 'llm-fixtures');
    if (!existsSync(folder)) this.skip();
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const google = classify(called(refused(429, read('google/google-429-retry-info.json'))));
    assert.deepEqual([google.cause, google.retryAfterMs], ['model-rate-limited', 34_400]);
    for (const status of [400, 429]) {
      assert.equal(
        classify(called(refused(status, read('openai-responses/openai-error.1.json')))).cause,
        'model-quota',
      );
    }
    for (const name of [
      'openai-chat/reasoning-model-legacy-parameter-error.json',
      'openai-responses/reasoning-model-temperature-error.json',
    ]) {
      const failure = classify(called(refused(400, read(name))));
      assert.deepEqual([failure.cause, failure.disposition], ['validation', 'final']);
      assert.match(failure.message, /Unsupported parameter/);
    }
  });
});

describe('messages', () => {
  it('are well-formed lines without control characters', () => {
    const { message } = classifyTool(new Error('a\u0000b\u001b[31m\ud83d\nc'));
    assert.equal(message, 'a b [31m\ufffd c');
    const long = classifyTool(new Error(`${'x'.repeat(298)}\u{1f600}y`)).message;
    assert.ok(long.isWellFormed() && long.length <= 300);
  });

  it('are made of whatever was thrown', () => {
    assert.equal(classifyTool(Object.create(null)).message, 'object');
    assert.equal(classifyTool(Object.assign(new Error('x'), { message: 7 })).message, '7');
  });
});

describe('toApplicationFailure', () => {
  it('carries cause, disposition, mend and delay', () => {
    const failure = classify(called(said(429, 'slow', 'rate_limit_exceeded', { 'retry-after': '2' })));
    const thrown = toApplicationFailure(failure, { retryable: true });
    assert.equal(thrown.type, 'model-rate-limited');
    assert.equal(thrown.nonRetryable, false);
    assert.equal(thrown.nextRetryDelay, 2000);
    assert.equal(thrown.category, ApplicationFailureCategory.BENIGN);
    assert.deepEqual(thrown.details, [{ disposition: 'transient' }]);
    const locked401 = toApplicationFailure(classify(called(said(401, 'no'))), { retryable: false });
    assert.equal(locked401.nonRetryable, true);
    assert.deepEqual(locked401.details, [
      {
        disposition: 'mendable',
        mend: 'Set OPENAI_API_KEY, or the file that OPENAI_API_KEY_FILE names, to a key that may use this model.',
      },
    ]);
  });

  it('shows trouble of our own in logs', () => {
    const thrown = toApplicationFailure(classify(coded('57P01')), { retryable: true });
    assert.notEqual(thrown.category, ApplicationFailureCategory.BENIGN);
  });

  it('is read back as it was', () => {
    const failure = classify(new ModelUnavailable('model-authentication', 'No key', 'Set X.'));
    const again = classify(toApplicationFailure(failure, { retryable: false }));
    assert.deepEqual({ ...again, sent: 'no' }, failure);
    assert.equal(classify(ApplicationFailure.nonRetryable('x', 'SomethingElse')).cause, 'infra');
  });
});
