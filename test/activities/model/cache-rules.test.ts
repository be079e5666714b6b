// Goal: the server that measures our caching is as strict as the provider: what it finds, for how long, and what it charges.
// Method: its rules with requests made by hand and a clock of the test's own, against what the provider's documents say.
import assert from 'node:assert/strict';
import type { JsonObject } from '../../../src/domain/json.ts';
import { automaticCache, markedCache } from '../../support/prompt-cache/cache-rules.ts';

const MINUTE_MS = 60_000;

/** Blocks of about 100 tokens. A mark stands behind a block: `!` for minutes, `*` for an hour. */
const bodyOf = (system: string, words: readonly string[], rest: JsonObject = {}) => ({
  model: 'm',
  system: [blockOf(system)],
  messages: [{ role: 'user', content: words.map(blockOf) }],
  ...rest,
});

function blockOf(word: string): JsonObject {
  const ttl = { '!': '5m', '*': '1h' }[word.slice(-1)];
  return {
    type: 'text',
    text: word.replace(/[!*]$/, '').padEnd(360, '.'),
    ...(ttl === undefined ? {} : { cache_control: { type: 'ephemeral', ttl } }),
  };
}

const ask = (cache: ReturnType<typeof markedCache>, ...body: Parameters<typeof bodyOf>) => {
  const cached = cache(bodyOf(...body));
  return cached.kind === 'refused' ? cached.message : cached.charged;
};

/** What a request was refused with. */
const refusalOf = (...request: Parameters<typeof ask>): string => {
  const given = ask(...request);
  return typeof given === 'string' ? given : '';
};

const wordsOf = (more: number) => ['a', ...Array.from({ length: more }, (_, index) => `w${index}`)];

const long = (end: string) => ({ ...bodyOf('s'.repeat(8_000), [end]), prompt_cache_key: 'k' });

const readOf = (cached: ReturnType<ReturnType<typeof automaticCache>>) =>
  cached.kind === 'charged' ? cached.charged.read : Number.NaN;

const read = (...request: Parameters<typeof ask>): boolean => {
  const charged = ask(...request);
  return typeof charged !== 'string' && charged.read > 0;
};

describe('a cache that keeps what is marked', () => {
  let now = 0;
  const open = (tokensMin = 1) => markedCache({ tokensMin, now: () => now });
  beforeEach(() => {
    now = 0;
  });

  it('finds the same beginning and nothing else', () => {
    const cache = open();
    assert.equal(read(cache, 's', ['a', 'b!']), false);
    assert.equal(read(cache, 's', ['a', 'b!']), true);
    assert.equal(read(cache, 's', ['a', 'B!']), false);
    assert.equal(read(cache, 't', ['a', 'b!']), false);
    assert.equal(read(cache, 's', ['a', 'b!'], { model: 'other' }), false);
    assert.equal(read(cache, 's', ['a', 'b'], {}), false, 'nothing is looked for without a mark');
  });

  it('finds messages only under the same choice of tools, and the instructions under any', () => {
    const cache = open();
    ask(cache, 's!', ['a!']);
    const [whole, other] = [ask(cache, 's!', ['a!']), ask(cache, 's!', ['a!'], { tool_choice: { type: 'none' } })];
    assert.ok(typeof whole !== 'string' && typeof other !== 'string');
    assert.deepEqual([whole.fresh + whole.written, other.read > 0 && other.written > 0], [0, true]);
    assert.ok(read(cache, 's!', ['a!'], { tool_choice: { type: 'auto' } }));
  });

  it('looks back over twenty blocks, the marked one among them', () => {
    const cache = open();
    ask(cache, 's', ['a!']);
    assert.equal(read(cache, 's', [...wordsOf(18), 'end!']), true);
    assert.equal(read(open(), 's', ['a!']), false);
    const other = open();
    ask(other, 's', ['a!']);
    assert.equal(read(other, 's', [...wordsOf(19), 'end!']), false);
  });

  it('keeps for five minutes or an hour after the last use', () => {
    for (const [mark, minutes] of [
      ['!', 5],
      ['*', 60],
    ] as const) {
      const cache = open();
      ask(cache, 's', [`a${mark}`]);
      now += minutes * MINUTE_MS - 1;
      assert.equal(read(cache, 's', [`a${mark}`]), true);
      now += minutes * MINUTE_MS - 1;
      assert.equal(read(cache, 's', [`a${mark}`]), true, 'a use counts anew');
      now += minutes * MINUTE_MS;
      assert.equal(read(cache, 's', [`a${mark}`]), false);
    }
  });

  it('keeps nothing that is too short, and charges it as input', () => {
    const cache = open(1_024);
    const short = ask(cache, 's!', ['a!']);
    assert.ok(typeof short !== 'string' && short.written === 0 && short.fresh > 0);
    assert.equal(read(cache, 's!', ['a!']), false);
  });

  it('charges what is kept for an hour apart', () => {
    const cache = open();
    const [first, again] = [ask(cache, 's*', ['a', 'b!', 'c']), ask(cache, 's*', ['a', 'b!', 'c'])];
    assert.ok(typeof first !== 'string' && typeof again !== 'string');
    assert.ok(first.hour > 0 && first.hour < first.written && first.fresh > 0 && first.read === 0);
    assert.deepEqual([again.hour, again.written, again.read], [0, 0, first.written]);
    now += 10 * MINUTE_MS;
    const late = ask(cache, 's*', ['a', 'b!', 'c']);
    assert.ok(typeof late !== 'string');
    assert.deepEqual([late.read, late.written, late.hour], [first.hour, first.written - first.hour, 0]);
  });

  it('refuses five marks, and an hour after minutes', () => {
    assert.match(refusalOf(open(), 's!', ['a!', 'b!', 'c!', 'd!']), /maximum of 4 blocks/);
    assert.match(refusalOf(open(), 's!', ['a*']), /must not come after/);
  });
});

describe('a cache that keeps everything by itself', () => {
  it('finds in steps of 128 tokens, from 1,024 on, for five minutes, under the same key', () => {
    let now = 0;
    const cache = automaticCache({ now: () => now });
    assert.equal(readOf(cache(long('a'))), 0);
    const found = readOf(cache(long('b')));
    assert.ok(found >= 1_024 && found % 128 === 0, `${found}`);
    assert.equal(readOf(cache({ ...long('b'), prompt_cache_key: 'other' })), 0);
    now += 5 * MINUTE_MS;
    assert.equal(readOf(cache(long('b'))), 0);
    assert.equal(readOf(cache(bodyOf('s', ['a']))), 0);
    assert.equal(readOf(cache(bodyOf('s', ['a']))), 0, 'a short one is not kept');
  });
});
