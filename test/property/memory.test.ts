// Goal: a transcript is never cut between a call and its result, and what is recalled is bounded, verbatim and the same every time.
// Method: random conversations with tool calls, random texts and random questions; the searched fact is planted among them.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { utf8Bytes } from '../../src/domain/json.ts';
import { bytesOf, type ChainNode, isReply, turnsOf } from '../../src/domain/memory/chain.ts';
import { cutText, PASSAGE_BYTES_MAX, passagesOf } from '../../src/domain/memory/passages.ts';
import { findCut, planCompaction } from '../../src/domain/memory/plan-compaction.ts';
import {
  formatRecalled,
  indexPassages,
  RECALLED_BYTES_MAX,
  RECALLED_PASSAGES_MAX,
  recallPassages,
} from '../../src/domain/memory/recall.ts';
import { extractSummary, piecesOf, summaryPart } from '../../src/domain/memory/summary.ts';
import { utterancesOf } from '../../src/domain/memory/utterances.ts';
import type { MessagePart } from '../../src/domain/model/message-part.ts';

const node = (address: string, parts: readonly MessagePart[]): ChainNode => ({
  address,
  replaces: null,
  segments: parts.map((part, index) => ({
    ref: `${address}.${index}`,
    part,
    bytes: Buffer.byteLength(JSON.stringify(part)),
  })),
});

/** What happens in one turn: what is said before the reply, and how many calls the reply makes. */
type Turn = { readonly said: readonly string[]; readonly calls: number; readonly words: string };

/** Builds the chain that the activities write for these turns: what is new, then the reply, turn by turn. */
function chainOf(turns: readonly Turn[]): readonly ChainNode[] {
  const nodes: ChainNode[] = [];
  let open: MessagePart[] = [];
  for (const [index, { said, calls, words }] of turns.entries()) {
    const user = said.map((text): MessagePart => ({ kind: 'user-text', text }));
    const delta = [...open, ...user];
    if (delta.length > 0) nodes.push(node(`d${index + 1}`, delta));
    const ids = Array.from({ length: calls }, (_, call) => `t${index + 1}c${call}`);
    const asked = ids.map((toolCallId): MessagePart => ({
      kind: 'tool-call',
      toolCallId,
      toolName: 'look',
      input: {},
    }));
    nodes.push(node(`r${index + 1}`, [{ kind: 'assistant-text', text: words }, ...asked]));
    open = ids.map((toolCallId): MessagePart => ({
      kind: 'tool-result',
      toolCallId,
      toolName: 'look',
      isError: false,
      output: words,
    }));
  }
  return nodes;
}

const text = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' });
const turns = fc.array(fc.record({ said: fc.array(text, { maxLength: 2 }), calls: fc.nat({ max: 3 }), words: text }), {
  minLength: 1,
  maxLength: 30,
});
const room = fc.record({
  keepBytes: fc.nat({ max: 8_000 }),
  firstBytesMax: fc.constantFrom(0, 100, 10_000),
  replacedBytesMin: fc.constantFrom(0, 1, 500),
});

const bare = (value: string): string => value.replaceAll(/\s/gu, '');

const indexOf = (texts: readonly string[], from = 1) =>
  indexPassages(
    passagesOf(
      texts.map((value, index) => ({ turn: from + index, ref: `p${from + index}`, speaker: 'user', text: value })),
    ),
  );

describe('a transcript', () => {
  it('is cut only where every call has its result on the same side', () => {
    fc.assert(
      fc.property(turns, room, (given, limits) => {
        const nodes = chainOf(given);
        const cut = planCompaction(nodes, limits);
        if (cut === null) return;
        assert.ok(cut.first < cut.cut && cut.cut < nodes.length);
        for (const side of [nodes.slice(0, cut.cut), nodes.slice(cut.cut, -1)]) {
          const ids = (kind: 'tool-call' | 'tool-result') =>
            side.flatMap(({ segments }) =>
              segments.flatMap(({ part }) => (part.kind === kind ? [part.toolCallId] : [])),
            );
          const missing = ids('tool-result').filter((id) => !ids('tool-call').includes(id));
          assert.deepEqual(missing, [], 'a result without its call');
        }
        const before = nodes.slice(0, cut.cut).flatMap(({ segments }) => segments.map(({ part }) => part));
        const calls = before.filter(({ kind }) => kind === 'tool-call').length;
        assert.equal(before.filter(({ kind }) => kind === 'tool-result').length, calls, 'a call without its result');
      }),
    );
  });

  it('keeps the newest reply, and as much as fits; the same turn gives the same cut again', () => {
    fc.assert(
      fc.property(turns, room, (given, limits) => {
        const nodes = chainOf(given);
        const cut = planCompaction(nodes, limits);
        if (cut === null) return;
        assert.ok(nodes.slice(cut.cut).some(isReply));
        assert.ok(nodes.slice(cut.first, cut.cut).some(isReply));
        assert.ok(bytesOf(nodes.slice(cut.first, cut.cut)) >= limits.replacedBytesMin);
        assert.deepEqual(findCut(nodes, cut.through, limits.firstBytesMax), cut);
        const later = planCompaction(nodes, { ...limits, keepBytes: limits.keepBytes + 1_000 });
        assert.ok(later === null || later.through <= cut.through, 'more room replaces no more');
      }),
    );
  });

  it('counts turns as the run does, before and after a compaction', () => {
    fc.assert(
      fc.property(turns, room, (given, limits) => {
        const nodes = chainOf(given);
        assert.deepEqual(
          nodes.flatMap((each, index) => (isReply(each) ? [turnsOf(nodes)[index]] : [])),
          given.map((_, index) => index + 1),
        );
        const cut = planCompaction(nodes, limits);
        if (cut === null) return;
        const part = summaryPart('short', { from: 1, to: cut.through }, 1_000);
        const summary = { ...node('s', [part]), replaces: { from: 'a', to: 'b' } };
        const compacted = [...nodes.slice(0, cut.first), summary, ...nodes.slice(cut.cut)];
        assert.equal(turnsOf(compacted).at(-1), turnsOf(nodes).at(-1));
      }),
    );
  });
});

describe('pieces', () => {
  it('have every line in its order, and none is too large', () => {
    fc.assert(
      fc.property(turns, fc.integer({ min: 200, max: 2_000 }), (given, bytesMax) => {
        const said = utterancesOf(chainOf(given));
        const pieces = piecesOf(said, bytesMax);
        for (const piece of pieces) assert.ok(utf8Bytes(piece.text) <= bytesMax);
        const joined = pieces.map((piece) => piece.text).join('\n');
        for (const { speaker, turn } of said) assert.ok(joined.includes(`[turn ${turn}, ${speaker}]`));
        assert.deepEqual(
          pieces.map(({ to }) => to),
          pieces.map(({ to }) => to).toSorted((a, b) => a - b),
        );
      }),
    );
  });

  it('of a text lose nothing but space', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3_000, unit: 'grapheme' }), (value) => {
        const pieces = cutText(value, PASSAGE_BYTES_MAX);
        assert.ok(pieces.every((piece) => utf8Bytes(piece) <= PASSAGE_BYTES_MAX));
        assert.equal(bare(pieces.join('')), bare(value));
      }),
    );
  });

  it('make an extract within its bound, without a model', () => {
    fc.assert(
      fc.property(turns, fc.option(text), fc.integer({ min: 50, max: 3_000 }), (given, before, bytesMax) => {
        for (const piece of piecesOf(utterancesOf(chainOf(given)), 4_000)) {
          const extract = extractSummary(before, piece, bytesMax);
          assert.ok(utf8Bytes(extract) <= bytesMax + 1);
          assert.equal(extract, extractSummary(before, piece, bytesMax));
        }
      }),
    );
  });
});

describe('recall', () => {
  const noise = fc.array(fc.lorem({ maxCount: 20 }), { minLength: 1, maxLength: 200 });
  const fact = 'the vault in lisbon opens with 7319-KESTREL';
  it('finds a fact among any others by the rare words that the question shares with it', () => {
    fc.assert(
      fc.property(noise, fc.nat(), fc.lorem({ maxCount: 8 }), (texts, place, chatter) => {
        const at = place % (texts.length + 1);
        const index = indexOf([...texts.slice(0, at), fact, ...texts.slice(at)]);
        const found = recallPassages([index], `${chatter} which code opens the vault in lisbon?`);
        assert.ok(found.some((passage) => passage.text === fact));
      }),
    );
  });

  it('is bounded, verbatim, in order, without repetition, and the same however the turns were split', () => {
    fc.assert(
      fc.property(noise, fc.lorem({ maxCount: 30 }), fc.nat(), (texts, question, place) => {
        const whole = indexOf(texts);
        const found = recallPassages([whole], question);
        assert.ok(found.length <= RECALLED_PASSAGES_MAX);
        assert.ok(utf8Bytes(formatRecalled(found)) <= RECALLED_BYTES_MAX);
        assert.ok(found.every((passage) => texts.includes(passage.text)));
        assert.equal(new Set(found.map((passage) => passage.text)).size, found.length);
        assert.deepEqual(
          found.map(({ turn }) => turn),
          found.map(({ turn }) => turn).toSorted((a, b) => a - b),
        );
        const at = place % texts.length;
        const split = [indexOf(texts.slice(at), at + 1), indexOf(texts.slice(0, at))];
        assert.deepEqual(recallPassages(split, question), found);
        const known = new Set(found.map(({ id }) => id));
        assert.ok(recallPassages([whole], question, known).every(({ id }) => !known.has(id)));
      }),
    );
  });

  it('recalls nothing where no rare word is shared', () => {
    const index = indexOf(Array.from({ length: 300 }, (_, turn) => `this is a common note and it says ${turn}`));
    assert.deepEqual(recallPassages([index], 'is this a common note?'), []);
    assert.deepEqual(recallPassages([index], ''), []);
    assert.deepEqual(recallPassages([], 'what?'), []);
  });
});
