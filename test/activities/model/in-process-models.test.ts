// Goal: models of our own go through the same call as a provider's and are the same every time; a script notices a wrong count.
// Method: invokeModel on rehearsals and scripts.
import assert from 'node:assert/strict';
import { classify } from '../../../src/activities/failures.ts';
import {
  invokeModel,
  type ModelReply,
  type ModelRequest,
  type ResolvedModel,
} from '../../../src/activities/model/invoke-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { scripted, type ScriptedModel } from '../../../src/activities/model/scripted-model.ts';
import type { Rehearsal } from '../../../src/authoring/index.ts';

const REQUEST: ModelRequest = {
  instructions: 'Be brief.',
  parts: [
    { kind: 'user-text', text: 'Refund order 7.' },
    { kind: 'guidance', text: 'Ask first.' },
    { kind: 'tool-call', toolCallId: 'call_1', toolName: 'lookupOrder', input: { order: 7 } },
    { kind: 'tool-result', toolCallId: 'call_1', toolName: 'lookupOrder', isError: false, output: { total: 5 } },
  ],
  tools: [],
  outputTokensMax: 100,
};

const NO_SIGNAL = new AbortController().signal;
const choice = (id: string) => ({ id, outputTokensMax: 100, contextTokensMax: 1000 });

async function resolve(rehearsal: Rehearsal): Promise<ResolvedModel> {
  return createModels({ env: {}, rehearsals: new Map([['refunds', rehearsal]]) }).resolve(choice('rehearsal:refunds'));
}

async function play(model: ScriptedModel, signal = NO_SIGNAL): Promise<ModelReply> {
  const models = createModels({ env: {}, rehearsals: new Map(), scripts: new Map([['s', model]]) });
  return invokeModel(await models.resolve(choice('scripted:s')), REQUEST, signal);
}

describe('rehearsals', () => {
  it('see the transcript as it is, and reply the same every time', async () => {
    const seen: unknown[] = [];
    const model = await resolve((view) => {
      seen.push(view.parts);
      return {
        text: 'Looking.',
        toolCalls: [
          { tool: 'refund', input: { order: 7 } },
          { tool: 'refund', input: {} },
        ],
      };
    });
    const first = await invokeModel(model, REQUEST, NO_SIGNAL);
    assert.deepEqual(seen, [REQUEST.parts]);
    assert.deepEqual(first.parts, [
      { kind: 'assistant-text', text: 'Looking.' },
      { kind: 'tool-call', toolCallId: 'call_2', toolName: 'refund', input: { order: 7 } },
      { kind: 'tool-call', toolCallId: 'call_3', toolName: 'refund', input: {} },
    ]);
    assert.equal(first.stopReason, 'tool-calls');
    assert.ok(first.usage.inputTokens > 10 && first.usage.outputTokens > 5 && !first.usageEstimated);
    assert.deepEqual(await invokeModel(model, REQUEST, NO_SIGNAL), first);
  });

  it('fail as a model that can be tried again when they throw or say nothing', async () => {
    const broken = await resolve(() => {
      throw new Error('no such order');
    });
    for (const model of [broken, await resolve(() => ({}))]) {
      const error: unknown = await invokeModel(model, REQUEST, NO_SIGNAL).catch((thrown: unknown) => thrown);
      assert.equal(classify(error).cause, 'model-error');
    }
  });
});

describe('scripts', () => {
  it('play their replies in order, then refuse', async () => {
    const model = scripted([
      { text: 'one' },
      {
        text: 'two',
        usage: { inputTokens: 1, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 },
      },
    ]);
    assert.deepEqual((await play(model)).parts, [{ kind: 'assistant-text', text: 'one' }]);
    assert.throws(model.assertUsed, /2 replies, and the model was called 1 times/);
    assert.equal((await play(model)).usage.outputTokens, 2);
    model.assertUsed();
    const error: unknown = await play(model).catch((thrown: unknown) => thrown);
    assert.deepEqual([classify(error).disposition, classify(error).message], ['final', 'Call 3 is not in the script']);
    assert.throws(model.assertUsed, /called 3 times/);
    assert.equal(model.views.length, 3);
  });

  it('can be a function of the transcript and the call', async () => {
    const model = scripted(({ parts, call }) => ({ text: `${parts.length} parts, call ${call}` }));
    await play(model);
    assert.deepEqual((await play(model)).parts, [{ kind: 'assistant-text', text: '4 parts, call 2' }]);
    model.assertUsed();
  });

  it('can throw, wait, cut and keep their usage to themselves', async () => {
    const model = scripted([
      { error: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) },
      { text: 'half', finish: 'interrupted' },
      { text: 'late', delayMs: 20, usage: null },
      { text: 'never', delayMs: 60_000 },
    ]);
    for (const _ of [1, 2]) {
      const error: unknown = await play(model).catch((thrown: unknown) => thrown);
      assert.equal(classify(error).disposition, 'transient');
    }
    assert.equal((await play(model)).usageEstimated, true);
    const late: unknown = await play(model, AbortSignal.timeout(30)).catch((thrown: unknown) => thrown);
    assert.equal(classify(late).cause, 'model-error');
  });

  it('keep arguments that are not JSON', async () => {
    const reply = await play(scripted([{ toolCalls: [{ tool: 'refund', input: '{"order": seven}' }] }]));
    assert.deepEqual(reply.parts, [
      { kind: 'tool-call', toolCallId: 'call_2', toolName: 'refund', input: '{"order": seven}' },
    ]);
  });
});
