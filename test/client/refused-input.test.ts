// Goal: what cannot be used is refused in words that say what was expected, before anything is sent.
// Method: a table against a client whose server does not exist; a call that got through would fail otherwise.
import assert from 'node:assert/strict';
import { Connection } from '@temporalio/client';
import {
  createClient,
  InvalidInput,
  ReaderMissing,
  type RunHandle,
  type StartOptions,
} from '../../src/client/index.ts';

const connection = Connection.lazy({ address: '127.0.0.1:1' });
const client = createClient({ connection, namespace: 'nowhere' });
const good: StartOptions = { agent: 'support', input: 'Hello.' };

const starts: readonly (readonly [string, object, RegExp])[] = [
  ['an empty input', { input: ' \n' }, /^input must not be empty/],
  ['an input that is not a text', { input: 17 }, /^input must be a text, got number/],
  ['control characters', { input: 'a\u0000b' }, /U\+0000 at position 1; remove it/],
  ['a lone surrogate', { input: 'a\ud800' }, /not valid Unicode/],
  [
    'bytes that are not UTF-8',
    { input: Buffer.from([0x61, 0xff]) },
    /^input is not valid UTF-8; write the file in UTF-8/,
  ],
  ['an input over 256 KiB', { input: 'ä'.repeat(131_073) }, /^input has 262146 bytes, at most 262144/],
  ['an agent name with capitals', { agent: 'Support' }, /^agent must be the name of an agent .*, got "Support"$/],
  ['no agent', { agent: undefined }, /^agent must be the name of an agent .*, got nothing$/],
  ['a tenant with a space', { tenant: 'a b' }, /^tenant must be 1 to 64 letters.*, got "a b"$/],
  ['a start key that is too long', { startKey: 'k'.repeat(201) }, /^startKey must be .* 1 to 200 characters/],
  ['an empty subject', { subject: '' }, /^subject must be whom the run is about/],
  ['an unknown kind', { kind: 'chat' }, /^kind must be "single" or "conversation", got "chat"$/],
  ['a limit that is not whole', { limits: { turns: 1.5 } }, /^limits.turns must be a whole number above 0, got 1.5$/],
  ['money as a number', { limits: { costPico: 5 } }, /^limits.costPico must be pico-dollars as a decimal text/],
  ['a misspelt limit', { limits: { turn: 1 } }, /^limits must have only the options .*; turn is none of them/],
  ['a misspelt option', { tenent: 'a' }, /^it must have only the options agent, .*; tenent is none of them/],
  [
    'a deadline of no time',
    { deadlineMs: 0 },
    /^deadlineMs must be whole milliseconds from now, at least 1000, got 0$/,
  ],
  ['a deadline beyond a year', { deadlineMs: 1e12 }, /^deadlineMs must be at most 31622400000/],
];

const messages: readonly (readonly [string, (run: RunHandle) => Promise<unknown>, RegExp])[] = [
  ['empty guidance', (run) => run.steer(' '), /^text must not be empty/],
  ['an empty answer', (run) => run.provideInput(''), /^text must not be empty/],
  ['a stop without a reason', (run) => run.requestStop(''), /^reason must not be empty/],
  ['a top-up of nothing', (run) => run.topUpBudget({}), /^it must name at least one amount/],
  ['a negative top-up', (run) => run.topUpBudget({ turns: -1 }), /^turns must be a whole number above 0, got -1$/],
  ['an empty key', (run) => run.pause({ key: '' }), /^id must be the key of the message/],
  ['a key of the run’s own', (run) => run.pause({ key: 'perdure:start' }), /^id must not begin with "perdure:"/],
  [
    'an unknown decision',
    (run) => run.decideApproval({ decision: { kind: 'maybe' } as never }),
    /^(?:it|kind) must be \{ kind: "approve" \}/,
  ],
  [
    'a rejection without a reason',
    (run) => run.decideApproval({ decision: { kind: 'reject', reason: '' } }),
    /^reason must not/,
  ],
];

describe('client: refused input', () => {
  for (const [name, patch, expected] of starts) {
    it(`refuses to start with ${name}`, async () => {
      await assert.rejects(client.start({ ...good, ...patch }), (error: unknown) => {
        assert.ok(error instanceof InvalidInput);
        assert.match(error.message, expected);
        return true;
      });
    });
  }
  for (const [name, send, expected] of messages) {
    it(`refuses to send ${name}`, async () => {
      await assert.rejects(send(client.run('0aB1cD2eF3gH4iJ5kL6mN7')), (error: unknown) => {
        assert.ok(error instanceof InvalidInput, String(error));
        assert.match(error.message, expected);
        return true;
      });
    });
  }

  it('says what needs a reader', async () => {
    await assert.rejects(client.run('0aB1cD2eF3gH4iJ5kL6mN7').answer(), ReaderMissing);
  });
});
