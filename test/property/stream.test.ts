// Goal: whatever attempts say, and however it is cut into looks, a reader ends with each settled reply once and never with words of two attempts.
// Method: random attempts of random turns, read in looks of random sizes by readers that come late and go on from what they were told.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { hear } from '../../src/domain/stream/hear.ts';
import {
  type SettledReply,
  STREAM_START,
  type StreamChunk,
  type StreamPosition,
  type StreamProgress,
} from '../../src/domain/stream/stream.ts';

/** What becomes known, in its order: a chunk is written, or a reply is kept. */
type Fact =
  { readonly kind: 'chunk'; readonly chunk: StreamChunk } | { readonly kind: 'reply'; readonly reply: SettledReply };

/** Turns of one or two attempts, whose chunks may come mixed; the last one's reply is kept, or that of any where two are alive. */
const story = fc
  .array(
    fc.record({
      lengths: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 }),
      order: fc.array(fc.nat(2), { minLength: 18, maxLength: 18 }),
      winner: fc.nat(2),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((turns) => turns.flatMap(factsOf));

const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 40 });

describe('a stream', () => {
  it('ends every turn once, in order, and its words are those of one attempt', () => {
    fc.assert(
      fc.property(story, cuts, (facts, sizes) => {
        check(facts, readAll(facts, sizes, STREAM_START));
      }),
    );
  });

  it('is the same for a reader that goes on from any place that it was told', () => {
    fc.assert(
      fc.property(story, cuts, fc.nat(), (facts, sizes, at) => {
        const whole = readAll(facts, sizes, STREAM_START);
        const cut = at % whole.length;
        const position = whole[cut]?.position ?? STREAM_START;
        check(facts, [...whole.slice(0, cut + 1), ...readAll(facts, [facts.length], position)]);
      }),
    );
  });
});

function factsOf(
  { lengths, order, winner }: { lengths: readonly number[]; order: readonly number[]; winner: number },
  index: number,
): readonly Fact[] {
  const turn = index + 1;
  const chunks = lengths.map((length, attempt) =>
    Array.from({ length }, (_, at): StreamChunk => {
      const text = `${turn}${'abc'[attempt] ?? ''}${at + 1} `;
      return { turn, attempt: turn * 10 + attempt, sequence: at + 1, delta: { kind: 'text', text } };
    }),
  );
  const texts = chunks.map((own) => own.map(({ delta }) => delta.text).join(''));
  const mixed: Fact[] = [];
  for (const attempt of [
    ...order,
    ...lengths.map((_, at) => at).flatMap((at) => Array.from({ length: 6 }, () => at)),
  ]) {
    const chunk = chunks[attempt]?.shift();
    if (chunk !== undefined) mixed.push({ kind: 'chunk', chunk });
  }
  const text = texts[winner % texts.length] ?? '';
  return [...mixed, { kind: 'reply', reply: { turn, text, isAnswer: true } }];
}

/** Reads as a client does: each look gives what is known by then behind the position. */
function readAll(facts: readonly Fact[], sizes: readonly number[], start: StreamPosition): readonly StreamProgress[] {
  const told: StreamProgress[] = [];
  let position = start;
  let known = 0;
  for (let look = 0; known < facts.length; look += 1) {
    known = Math.min(facts.length, known + (sizes[look % sizes.length] ?? 1));
    const seen = facts.slice(0, known);
    const heard = hear(position, {
      chunks: seen
        .flatMap((fact) => (fact.kind === 'chunk' ? [fact.chunk] : []))
        .filter((chunk) => isBehind(chunk, position))
        .toSorted((one, other) => (isBehind(one, other) ? 1 : -1)),
      replies: seen.flatMap((fact) => (fact.kind === 'reply' && fact.reply.turn >= position.turn ? [fact.reply] : [])),
      isOver: known === facts.length,
      isFull: false,
    });
    position = heard.position;
    told.push(...heard.told);
  }
  return told;
}

function isBehind(one: StreamPosition, other: StreamPosition): boolean {
  if (one.turn !== other.turn) return one.turn > other.turn;
  if (one.attempt !== other.attempt) return one.attempt > other.attempt;
  return one.sequence > other.sequence;
}

function check(facts: readonly Fact[], told: readonly StreamProgress[]): void {
  const replies = facts.flatMap((fact) => (fact.kind === 'reply' ? [fact.reply] : []));
  const ends = told.flatMap((each) =>
    each.kind === 'end' ? [{ turn: each.turn, text: each.text, isAnswer: true }] : [],
  );
  assert.deepEqual(ends, replies);
  let partial = '';
  for (const each of told) {
    if (each.kind === 'delta') partial += each.text;
    assert.notEqual(each.kind, 'gap');
    // Chunks name turn, attempt and sequence: they stand in their order, and all are of one attempt.
    const words = partial.split(' ').filter((word) => word !== '');
    for (const [index, word] of words.entries()) assert.equal(word, `${words[0]?.slice(0, -1)}${index + 1}`);
    if (each.kind === 'reset' || each.kind === 'end') partial = '';
  }
  assert.equal(partial, '');
}
