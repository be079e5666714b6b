// Goal: a prompt says what the transcript says, in its order, with each result beside its call.
// Method: examples, and transcripts that fast-check makes up, read back from the prompt.
import assert from 'node:assert/strict';
import type { LanguageModelV4Prompt } from '@ai-sdk/provider';
import * as fc from 'fast-check';
import { buildPrompt, GUIDANCE_PREFIX } from '../../../src/activities/model/prompt.ts';
import type { JsonValue } from '../../../src/domain/json.ts';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';

/** A turn: what the person says, then what the model says and calls, then the results of all calls. */
const turn = fc
  .record({
    asks: fc.array(fc.record({ kind: fc.constantFrom('user-text' as const, 'guidance' as const), text: fc.string() }), {
      maxLength: 2,
    }),
    says: fc.array(
      fc.record({ kind: fc.constantFrom('assistant-text' as const, 'reasoning' as const), text: fc.string() }),
      { maxLength: 2 },
    ),
    calls: fc.array(
      fc.record({
        id: fc.uuid(),
        input: fc.dictionary(fc.string(), fc.jsonValue()),
        output: fc.jsonValue(),
        isError: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ asks, says, calls }): MessagePart[] => [
    ...asks,
    ...says,
    ...calls.map(({ id, input }) => ({
      kind: 'tool-call' as const,
      toolCallId: id,
      toolName: 'tool',
      input: input as JsonValue,
    })),
    ...calls.map(({ id, output, isError }) => ({
      kind: 'tool-result' as const,
      toolCallId: id,
      toolName: 'tool',
      isError,
      output: output as JsonValue,
    })),
  ]);

/** Reads a prompt back into a transcript. */
function readBack(prompt: LanguageModelV4Prompt): unknown[] {
  return prompt.slice(1).flatMap((message) => {
    assert.notEqual(message.role, 'system');
    assert.notEqual(typeof message.content, 'string');
    return (message.content as Exclude<(typeof message)['content'], string>).map((part) => {
      if (part.type === 'tool-call')
        return { kind: 'tool-call', toolCallId: part.toolCallId, toolName: part.toolName, input: part.input };
      if (part.type === 'tool-result') {
        const { output, toolCallId, toolName } = part;
        assert.ok(
          output.type === 'text' ||
            output.type === 'json' ||
            output.type === 'error-text' ||
            output.type === 'error-json',
        );
        return {
          kind: 'tool-result',
          toolCallId,
          toolName,
          isError: output.type.startsWith('error'),
          output: output.value,
        };
      }
      assert.ok(part.type === 'text' || part.type === 'reasoning');
      if (message.role === 'user') {
        const isGuidance = part.text.startsWith(GUIDANCE_PREFIX);
        return {
          kind: isGuidance ? 'guidance' : 'user-text',
          text: isGuidance ? part.text.slice(GUIDANCE_PREFIX.length) : part.text,
        };
      }
      return { kind: part.type === 'text' ? 'assistant-text' : 'reasoning', text: part.text };
    });
  });
}

describe('buildPrompt', () => {
  it('keeps every part, its order and its call id', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 5 }), (turns) => {
        // As segments hold it: values that JSON gives back.
        const parts = JSON.parse(JSON.stringify(turns.flat())) as MessagePart[];
        assert.deepEqual(readBack(buildPrompt('Be brief.', parts)), parts);
      }),
    );
  });

  it('puts the instructions first and never has two messages of one role in a row', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 5 }), (turns) => {
        const prompt = buildPrompt('Be brief.', turns.flat());
        assert.deepEqual(prompt[0], { role: 'system', content: 'Be brief.' });
        assert.ok(prompt.every(({ role }, index) => role !== prompt[index - 1]?.role));
      }),
    );
  });

  it('keeps the prefix when the transcript grows', () => {
    fc.assert(
      fc.property(fc.array(turn, { minLength: 1, maxLength: 4 }), (turns) => {
        const before = JSON.stringify(buildPrompt('x', turns.slice(0, -1).flat()));
        const after = JSON.stringify(buildPrompt('x', turns.flat()));
        // Without the brackets that close the last message.
        assert.ok(after.startsWith(before.replace(/(?:\]\}\]|\]$)$/, '')));
      }),
    );
  });

  it('shows arguments that are no object inside one, as chat templates take them apart', () => {
    const prompt = buildPrompt('x', [{ kind: 'tool-call', toolCallId: '1', toolName: 't', input: '{"a": b}' }]);
    assert.deepEqual(prompt[1]?.content, [
      { type: 'tool-call', toolCallId: '1', toolName: 't', input: { notAnObject: '{"a": b}' } },
    ]);
  });

  it('gives a provider its own data back', () => {
    const metadata = { google: { thoughtSignature: 'abc' } };
    const prompt = buildPrompt('x', [{ kind: 'reasoning', text: 'Hm.', metadata }]);
    assert.deepEqual(prompt[1]?.content, [{ type: 'reasoning', text: 'Hm.', providerOptions: metadata }]);
  });
});
