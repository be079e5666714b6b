// Goal: no word of a conversation comes into a failure because a provider repeats it.
// Method: messages as validators write them, held against what was asked.
import assert from 'node:assert/strict';
import { echoes } from '../../../src/activities/model/safe-message.ts';

const ASKED = { messages: [{ role: 'user', content: 'Write to jo@x.org.\nMy plan is quite secret.' }], model: 'm' };

describe('a message of a provider', () => {
  for (const message of [
    "Invalid value: 'jo@x.org'",
    'Cannot read "plan is" here',
    'Odd: My plan is quite secret.',
    `Odd.${' \n'.repeat(600)}My plan is quite secret.`,
    'Odd: jo@x.org. My plan is quite',
  ]) {
    it(`repeats what was asked: ${message.slice(0, 40)}`, () => {
      assert.ok(echoes(message, ASKED));
    });
  }

  for (const message of ["Invalid value: 'user'", "Unsupported parameter: 'max_tokens'", 'The plan is not paid.', '']) {
    it(`says what is wrong: ${message}`, () => {
      assert.ok(!echoes(message, ASKED));
    });
  }
});
