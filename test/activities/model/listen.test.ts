// Goal: what is told while a model speaks is what its reply says at last, whatever blocks it comes in.
// Method: tables of stream parts as the SDK gives them.
import assert from 'node:assert/strict';
import type { LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { readReply } from '../../../src/activities/model/read-reply.ts';
import { type Delta, TEXT_SEPARATOR } from '../../../src/domain/stream/stream.ts';

const FINISH: LanguageModelV4StreamPart = {
  type: 'finish',
  finishReason: { unified: 'stop', raw: undefined },
  usage: {
    inputTokens: { total: 1, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 1, text: undefined, reasoning: undefined },
  },
};

const start = (kind: Delta['kind'], id: string): LanguageModelV4StreamPart => ({ type: `${kind}-start`, id });
const delta = (kind: Delta['kind'], id: string, text: string): LanguageModelV4StreamPart => ({
  type: `${kind}-delta`,
  id,
  delta: text,
});
/** The ends of the blocks that begin in a part. */
const ends = (part: LanguageModelV4StreamPart): readonly LanguageModelV4StreamPart[] =>
  part.type === 'text-start' || part.type === 'reasoning-start'
    ? [{ type: part.type === 'text-start' ? 'text-end' : 'reasoning-end', id: part.id }]
    : [];
const call: LanguageModelV4StreamPart = { type: 'tool-call', toolCallId: 'c', toolName: 'look', input: '{}' };

describe('what is told while a model speaks', () => {
  const cases: readonly { name: string; parts: readonly LanguageModelV4StreamPart[]; text: string }[] = [
    { name: 'one text', parts: [start('text', '0'), delta('text', '0', 'a '), delta('text', '0', 'b')], text: 'a b' },
    {
      name: 'two texts with thoughts between them',
      parts: [
        start('text', '0'),
        delta('text', '0', 'a'),
        start('reasoning', '1'),
        delta('reasoning', '1', 'hm'),
        start('text', '2'),
        delta('text', '2', 'b'),
        delta('text', '2', 'c'),
      ],
      text: 'a\n\nbc',
    },
    {
      name: 'two texts that share an id',
      parts: [start('text', '0'), delta('text', '0', 'a'), call, start('text', '0'), delta('text', '0', 'b')],
      text: 'a\n\nb',
    },
    {
      name: 'an empty text before one',
      parts: [start('text', '0'), delta('text', '0', ''), start('text', '1'), delta('text', '1', 'b')],
      text: 'b',
    },
  ];
  for (const { name, parts, text } of cases) {
    it(`is the reply: ${name}`, async () => {
      const told: Delta[] = [];
      const stream = ReadableStream.from([...parts, ...parts.flatMap(ends), FINISH]);
      const { blocks } = await readReply(stream, { id: 'm', keyName: null }, null, (each) => told.push(each));
      const said = told.flatMap((each) => (each.kind === 'text' ? [each.text] : [])).join('');
      const written = blocks.flatMap((block) => (block.kind === 'text' && block.text !== '' ? [block.text] : []));
      assert.equal(said, text);
      assert.equal(written.join(TEXT_SEPARATOR), text);
    });
  }
});
