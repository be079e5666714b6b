// Goal: a recording holds no key and no personal data of the known shapes, and equal values have equal masks.
// Method: tables of texts, request bodies and replies, streamed in pieces as providers send them.
import assert from 'node:assert/strict';
import { chunksAfter, decodeBody } from '../../../src/activities/recorded/body-text.ts';
import { maskRequest } from '../../../src/activities/recorded/mask-json.ts';
import { maskReply } from '../../../src/activities/recorded/mask-reply.ts';
import { applyEdits, createMasker, MASK_KINDS } from '../../../src/activities/recorded/masker.ts';
import { kindsOf } from '../../../src/activities/recorded/player.ts';
import { secretsOf } from '../../../src/activities/recorded/secrets-of.ts';

const TEXTS: readonly (readonly [string, string])[] = [
  ['write to liam.murphy+x@mail.example.co.uk today', 'write to [email-1] today'],
  ['from jörg@büro.example, not a@b', 'from [email-1], not a@b'],
  ['a@x.org and b@x.org and a@x.org', '[email-1] and [email-2] and [email-1]'],
  ['card 4111 1111 1111 1111, and 4111-1111-1111-1111', 'card [card-1], and [card-2]'],
  ['order 4111 1111 1111 1112 is no card', 'order 4111 1111 1111 1112 is no card'],
  ['pay to DE89 3704 0044 0532 0130 00 now', 'pay to [iban-1] now'],
  ['pay to GB82WEST12345698765432.', 'pay to [iban-1].'],
  ['not an account: DE88 3704 0044 0532 0130 00', 'not an account: DE88 3704 0044 0532 0130 00'],
  ['call +49 170 1234567 or (555) 010-9999 or 555-010-9999', 'call [phone-1] or [phone-2] or [phone-3]'],
  [
    'flight HAT001 on 2024-05-01, order #W2378156, item 4202497723',
    'flight HAT001 on 2024-05-01, order #W2378156, item 4202497723',
  ],
  ['Authorization: Bearer abc.def-123456', 'Authorization: Bearer [key-1]'],
  ['sk-proj-abcdefgh12345678 and AKIAIOSFODNN7EXAMPLE', '[key-1] and [key-2]'],
  ['postgres://me:hunter2@host/db', 'postgres://[key-1]@host/db'],
  ['password=hunter2!x', 'password=[key-1]'],
  ['it was [email-7], then a@x.org, then [email-7]', 'it was [email-1], then [email-2], then [email-1]'],
  ['a citation [1] and [note-1] stay', 'a citation [1] and [note-1] stay'],
  // Words of JSON, also inside JSON: the letter of an escape belongs to no value.
  [String.raw`{"note":"mail\nliam@x.org\n555-010-9999"}`, String.raw`{"note":"mail\n[email-1]\n[phone-1]"}`],
  [
    String.raw`{\"note\":\"\\nDE89370400440532013000\\tsk-proj-abcdefgh12345678\"}`,
    String.raw`{\"note\":\"\\n[iban-1]\\t[key-1]\"}`,
  ],
  [String.raw`{"to":"j\u00f6rg\u0040x.org"} is jörg@x.org`, '{"to":"[email-1]"} is [email-1]'],
  [String.raw`C:\new\tools stay`, String.raw`C:\new\tools stay`],
  // Secrets by the names before them.
  ['OPENAI_API_KEY=0123456789abcdef', 'OPENAI_API_KEY=[key-1]'],
  [
    String.raw`{\"client_secret\":\"a1b2c3\",\"refreshToken\": \"d4e5\"}`,
    String.raw`{\"client_secret\":\"[key-1]\",\"refreshToken\": \"[key-2]\"}`,
  ],
  ['{"secret":true,"password":null,"max_tokens":4096}', '{"secret":true,"password":null,"max_tokens":4096}'],
  ['limit of organization org-AbCdEf0123456789xyz on', 'limit of organization [key-1] on'],
];

/** Words and arguments in pieces of two characters, in the shapes of three wires. */
const pieces = (text: string): string[] => text.match(/[^]{1,2}/gu) ?? [];
const event = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;

const STREAMS: Readonly<Record<string, (said: string, args: string) => string>> = {
  'OpenAI chat': (said, args) =>
    [
      event({ choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] }),
      ...pieces(said).map((content) => event({ choices: [{ index: 0, delta: { content } }] })),
      event({
        choices: [
          { delta: { tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '' } }] } },
        ],
      }),
      ...pieces(args).map((text) =>
        event({ choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: text } }] } }] }),
      ),
      'data: [DONE]\n\n',
    ].join(''),
  'OpenAI responses': (said, args) =>
    [
      ...pieces(said).map((delta) =>
        event({ type: 'response.output_text.delta', item_id: 'm', output_index: 0, delta }),
      ),
      ...pieces(args).map((delta) =>
        event({ type: 'response.function_call_arguments.delta', item_id: 'f', output_index: 1, delta }),
      ),
      event({ type: 'response.completed', response: { output: [{ content: [{ text: said }] }, { arguments: args }] } }),
    ].join(''),
  Anthropic: (said, args) =>
    [
      ...pieces(said).map(
        (text) =>
          `event: content_block_delta\n${event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })}`,
      ),
      ...pieces(args).map((text) =>
        event({ type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: text } }),
      ),
      event({ type: 'message_stop' }),
    ].join(''),
};

describe('masking', () => {
  for (const [text, masked] of TEXTS) {
    it(`writes: ${masked}`, () => assert.equal(createMasker().mask(text), masked));
  }

  it('masks what it masked to the same', () => {
    for (const [, masked] of TEXTS) assert.equal(createMasker().mask(masked), masked);
  });

  it('masks secrets by their name, long numbers, names of members, and keeps files as hashes', () => {
    const data = 'iVBORw0KGgo='.padStart(2_000, 'A');
    const body = { password: 'short', card: 4111111111111111, count: 12, 'a@x.org': true, nested: [{ url: data }] };
    const masked = maskRequest(body, createMasker()) as Record<string, unknown>;
    assert.deepEqual(Object.keys(masked), ['password', 'card', 'count', '[email-1]', 'nested']);
    assert.deepEqual([masked['password'], masked['card'], masked['count']], ['[key-1]', '[card-1]', 12]);
    assert.match(JSON.stringify(masked['nested']), /^\[\{"url":"\[data of 2000 characters, sha256 [\da-f]{64}\]"\}\]$/);
  });

  it('masks what a person asks for, and never what a mask says', () => {
    const masker = createMasker([...MASK_KINDS, ...kindsOf({ customer: /C-\d{3}/i, digit: /\d/ })]);
    assert.equal(masker.mask('a@x.org is c-123 at 7'), '[email-1] is [customer-1] at [digit-1]');
    assert.equal(masker.valueOf('[customer-1]'), 'c-123');
    assert.throws(() => kindsOf({ 'Not-A-Name': /x/ }), /1 to 20 lower-case letters, got Not-A-Name/);
  });

  for (const [name, stream] of Object.entries(STREAMS)) {
    it(`masks values that a stream of ${name} brings in pieces`, () => {
      const secret = stream(
        'Ask liam@example.com, please.',
        '{"to":"liam@example.com","iban":"GB82WEST12345698765432"}',
      );
      const masked = stream('Ask [email-1], please.', '{"to":"[email-1]","iban":"[iban-1]"}');
      const written = applyEdits(secret, maskReply(secret, createMasker()));
      assert.equal(written.includes('liam'), false);
      assert.deepEqual(wordsOf(written), wordsOf(masked));
      assert.equal(applyEdits(written, maskReply(written, createMasker())), written);
    });
  }

  it('masks secrets of a reply by the names of their members', () => {
    const call = {
      candidates: [{ content: { parts: [{ functionCall: { args: { user: 'me', dbPassword: 'x' } } }] } }],
    };
    for (const reply of [JSON.stringify(call), `data: ${JSON.stringify(call)}\n\n`]) {
      const written = applyEdits(reply, maskReply(reply, createMasker()));
      assert.equal(written.includes('"dbPassword":"[key-1]"'), true, written);
      assert.equal(written.includes('"user":"me"'), true);
    }
  });

  it('masks the secrets of a call wherever they stand', () => {
    const init = {
      headers: { Authorization: 'Bearer 0123456789abcdef', 'api-key': 'fedcba9876543210', accept: 'text/event-stream' },
    };
    const signed = {
      headers: {
        authorization: 'AWS4-HMAC-SHA256 Credential=IDIDIDIDID/20240101/x, SignedHeaders=host, Signature=0a0b0c0d0e',
      },
    };
    const secrets = [
      ...secretsOf('https://me:pass%20word@h/v1?key=query-key-1&alt=sse', init),
      ...secretsOf('https://h/', signed),
    ];
    const masker = createMasker(MASK_KINDS, secrets);
    const said =
      'no: 0123456789abcdef, fedcba9876543210, query-key-1, pass word, IDIDIDIDID, 0a0b0c0d0e; text/event-stream sse 20240101';
    assert.equal(
      masker.mask(said),
      'no: [key-1], [key-2], [key-3], [key-4], [key-5], [key-6]; text/event-stream sse 20240101',
    );
    assert.equal(createMasker(MASK_KINDS, ['short']).mask('a short word'), 'a short word');
  });

  it('keeps small files as hashes, and short words', () => {
    const text = Buffer.from('I am a@x.org').toString('base64');
    const body = { source: { type: 'base64', data: text }, url: `data:text/plain;base64,${text}`, data: 'yes' };
    const masked = JSON.stringify(maskRequest(body, createMasker()));
    assert.equal(masked.includes(text), false);
    assert.match(masked, /"data":"yes"/);
  });

  it('is done with long texts in linear time', () => {
    for (const piece of [
      'a',
      '1',
      ' ',
      '1 ',
      'a.',
      'a@',
      'eyJ',
      'key=',
      'DE89 ',
      '+1 ',
      '-----BEGIN ',
      'bearer ',
      '\\\\',
      '\\\\n',
      'secret=',
    ]) {
      const text = piece.repeat(Math.ceil(200_000 / piece.length));
      assert.ok(createMasker().mask(text).length > 0);
    }
    const stream = Array.from({ length: 5_000 }, () => event({ choices: [{ delta: { content: 'word ' } }] })).join('');
    assert.deepEqual(maskReply(stream, createMasker()), []);
  });

  it('leaves a stream without such values as it came, to the byte', () => {
    const odd = 'data:  {"n": 1.0, "choices":[{"delta":{"content":"\\u00e9 ok"}}]}\r\n\r\n: comment\ndata: [DONE]\n\n';
    assert.deepEqual(maskReply(odd, createMasker()), []);
  });

  it('masks a line that was cut', () => {
    const cut = 'data: {"choices":[{"delta":{"content":"liam@example.com and';
    assert.equal(applyEdits(cut, maskReply(cut, createMasker())), cut.replace('liam@example.com', '[email-1]'));
  });

  it('keeps chunks apart where they were, also inside a character', () => {
    const bytes = Buffer.from('é to a@x.org!');
    const decoded = decodeBody(bytes);
    assert.equal(decoded, 'é to a@x.org!');
    const edits = createMasker().edits('é to a@x.org!');
    assert.deepEqual(
      chunksAfter('é to a@x.org!', edits, [
        [0, 1],
        [5, 6],
        [9, 7],
      ]),
      [
        [0, 1],
        [5, 6],
        [9, 9],
      ],
    );
    assert.equal(decodeBody(bytes.subarray(0, 1)), '');
    assert.equal(decodeBody(Buffer.from([0xff, 0, 0xfe, 0x80, 0x81])), null);
  });
});

/** Puts the pieces of a stream together, by the member that brings them. */
function wordsOf(stream: string): Record<string, string> {
  const words: Record<string, string> = {};
  for (const [, json = ''] of stream.matchAll(/^data: (\{.*)$/gm)) {
    JSON.parse(json, (name: string, value: unknown) => {
      if (typeof value === 'string' && !['type', 'item_id'].includes(name)) words[name] = (words[name] ?? '') + value;
      return value;
    });
  }
  return words;
}
