// Goal: words are found as people write them, in scripts with and without spaces.
// Method: a table of texts and the words in them.
import assert from 'node:assert/strict';
import { wordsIn } from '../../../src/domain/memory/words.ts';

describe('words', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['Where is my order?', ['where', 'is', 'my', 'order']],
    ['Order A-1012 was sent.', ['order', 'a-1012', 'a', '1012', 'was', 'sent']],
    ['Write to Ann@example.com', ['write', 'to', 'ann@example.com', 'ann', 'example', 'com']],
    ['It costs 3.75', ['it', 'costs', '3.75', '3', '75']],
    ['ÉCOLE ﬁne', ['école', 'fine']],
    ['東京の駅', ['東京', '京の', 'の駅']],
    ['駅', ['駅']],
    ['… — !', []],
  ];
  for (const [text, words] of cases) {
    it(`of ${JSON.stringify(text)}`, () => assert.deepEqual(wordsIn(text), words));
  }
});
