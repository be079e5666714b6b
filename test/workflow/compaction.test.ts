// Goal: a long conversation goes on in a small context, what was said early is there when it is asked for, and every summary is paid once.
// Method: real workers and servers with a model of 32,000 tokens that refuses longer prompts, and a summariser that forgets everything.
import assert from 'node:assert/strict';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { type ProviderServer, refusals, startProviderServer, type WireMessage } from '../support/provider-server.ts';
import { CONTEXT_TOKENS, isSummaryRequest, REPLY_TOKENS, textOf, withSmallContext } from '../support/small-context.ts';
import { assertLedgerAddsUp, describeLongConversation } from '../support/workflow/long-conversation.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { stateOf, untilPhase, update } from '../support/workflow/talk.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';

/** The slow tests have a conversation of 900 turns. */
describeLongConversation(120);

/** A result that fills a fifth of the context. */
const LONG_RESULT = (id: string): string => `found ${id} `.padEnd(24_000, 'and so on. ');

describe('compaction', () => {
  let provider: ProviderServer;
  let platform: Platform;

  before(async () => {
    provider = await startProviderServer();
    const models = {
      standard: { id: 'openai-compatible:small', outputTokensMax: REPLY_TOKENS, contextTokensMax: CONTEXT_TOKENS },
    };
    const requirements = { latencyP95Ms: 3_600_000, costPerRunUsd: 10_000 };
    const limits = { turns: 2_000, toolCalls: 2_000, tokens: 1e12 };
    platform = await startPlatform({
      agents: [testAgent('reader', { models, requirements, limits, tools: [lookupTool('lookup', LONG_RESULT)] })],
      env: { PERDURE_MODEL_BASE_URL: provider.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' },
    });
  });
  after(async () => {
    await platform.close();
    await provider.close();
  });

  const requestsOf = (from: number) => provider.ledger.slice(from).map(({ body }) => body);
  const reader = () => createRunReader(platform.stores);

  /** Looks up one long result a turn, then answers; `refused` says which calls are told that they are too long although they are not. */
  const lookUpLong = (turns: number, refused: (call: number) => boolean = () => false) => {
    let [calls, made] = [0, 0];
    provider.always(
      withSmallContext((request) => {
        if (isSummaryRequest(request)) return { kind: 'reply', text: 'They looked things up.' };
        calls += 1;
        if (refused(calls)) return refusals.contextTooLong;
        made += 1;
        if (made > turns) return { kind: 'reply', text: 'Done.' };
        return { kind: 'reply', toolCalls: [{ name: 'lookup', arguments: { id: `order A-${made}` } }] };
      }),
    );
  };

  it('compacts in the middle of tool calls and never parts a call from its result', async () => {
    const from = provider.ledger.length;
    lookUpLong(12);
    const handle = await platform.start('reader', 'Look up twelve orders.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.turns, end.toolCalls], [{ kind: 'completed' }, 13, 12]);
    const requests = requestsOf(from);
    assert.ok(requests.filter(isSummaryRequest).length >= 2);
    for (const { messages } of requests) assertPaired(messages);
    const asked = requests.filter((request) => !isSummaryRequest(request));
    assert.ok(asked.every(({ messages }) => textOf(messages[1]?.content).startsWith('Look up twelve orders.')));
    await assertLedgerAddsUp(platform, provider, handle, from);
  });

  it('compacts once when the provider says that the prompt is too long, and goes on with the same turn', async () => {
    const from = provider.ledger.length;
    lookUpLong(2, (call) => call === 3);
    const handle = await platform.start('reader', 'Look up two orders.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.turns], [{ kind: 'completed' }, 3]);
    const kinds = provider.ledger
      .slice(from)
      .map(({ behaviour, body }) => (isSummaryRequest(body) ? 'summary' : behaviour));
    assert.deepEqual(kinds, ['reply', 'reply', 'status', 'summary', 'reply']);
    await assertLedgerAddsUp(platform, provider, handle, from);
  });

  it('ends failed when the prompt is too long again after it was compacted', async () => {
    const from = provider.ledger.length;
    lookUpLong(2, (call) => call >= 3);
    const handle = await platform.start('reader', 'Look up two orders.');
    const { outcome } = await handle.result();
    assert.ok(outcome.kind === 'failed' && outcome.cause === 'validation', JSON.stringify(outcome));
    assert.match(outcome.message, /cannot hold a prompt of this length.*; it was compacted once$/);
    const kinds = provider.ledger
      .slice(from)
      .map(({ behaviour, body }) => (isSummaryRequest(body) ? 'summary' : behaviour));
    assert.deepEqual(kinds, ['reply', 'reply', 'status', 'summary', 'status']);
    await assertLedgerAddsUp(platform, provider, handle, from);
  });

  it('ends failed at once when there is nothing to compact', async () => {
    const from = provider.ledger.length;
    lookUpLong(1);
    const handle = await platform.start('reader', 'A long letter. '.repeat(10_000));
    const { outcome } = await handle.result();
    assert.ok(outcome.kind === 'failed' && outcome.cause === 'validation', JSON.stringify(outcome));
    assert.match(outcome.message, /there is nothing that a summary could replace$/);
    assert.equal(provider.ledger.length - from, 1);
  });

  it('waits for a top-up when the budget cannot bear a compaction', async () => {
    const from = provider.ledger.length;
    let made = 0;
    provider.always((request) => {
      if (isSummaryRequest(request)) return { kind: 'reply', text: 'They looked things up.' };
      made += 1;
      if (made > 3) return { kind: 'reply', text: 'Done.' };
      const usage = made < 3 ? {} : { usage: { prompt_tokens: 12_000, completion_tokens: 58_000 } };
      return { kind: 'reply', toolCalls: [{ name: 'lookup', arguments: { id: `order A-${made}` } }], ...usage };
    });
    const limits = { tokens: 80_000 };
    const handle = await platform.start('reader', 'Look up three orders.', { limits });
    await untilPhase(handle, 'waiting');
    assert.deepEqual([(await stateOf(handle)).turn, provider.ledger.length - from], [3, 3]);
    await update(handle, 'topUpBudget', { topUp: { tokens: 10_000_000 } });
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    const summaries = provider.ledger.slice(from).map(({ body }) => isSummaryRequest(body));
    assert.deepEqual(summaries, [false, false, false, true, false]);
    await assertLedgerAddsUp(platform, provider, handle, from);
  });

  it('takes an extract when the model will not give a summary', async () => {
    const from = provider.ledger.length;
    let made = 0;
    provider.always((request) => {
      if (isSummaryRequest(request)) return { kind: 'reply', text: 'They', finishReason: 'length' };
      made += 1;
      if (made > 6) return { kind: 'reply', text: 'Done.' };
      return { kind: 'reply', toolCalls: [{ name: 'lookup', arguments: { id: `order A-${made}` } }] };
    });
    const handle = await platform.start('reader', 'Look up six orders.');
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    const timeline = await reader().timeline(platform.tenant, handle.workflowId);
    const compactions = timeline.filter(({ kind }) => kind === 'compact');
    assert.ok(compactions.length > 0 && compactions.every(({ outcome }) => outcome === 'failed'));
    const parts = await reader().transcript(platform.tenant, handle.workflowId);
    const summary = parts.flatMap((part) => (part.kind === 'summary' ? [part.text] : []));
    assert.equal(summary.length, 1);
    assert.match(summary[0] ?? '', /order A-1/);
    await assertLedgerAddsUp(platform, provider, handle, from);
  });
});

describe('compaction without a provider', () => {
  let platform: Platform;

  before(async () => {
    platform = await startPlatform({
      agents: [
        testAgent('rehearsed', {
          models: {
            standard: { id: 'rehearsal:rehearsed', outputTokensMax: REPLY_TOKENS, contextTokensMax: CONTEXT_TOKENS },
          },
          tools: [lookupTool('lookup', LONG_RESULT)],
          rehearsal: ({ parts }) => {
            const calls = parts.flatMap((part) => (part.kind === 'tool-call' ? [part.toolCallId] : []));
            const turn = Number(/\d+/.exec(calls.at(-1) ?? '0')?.[0]);
            return turn < 8
              ? { toolCalls: [{ tool: 'lookup', input: { id: `order A-${turn + 1}` } }] }
              : { text: 'Done.' };
          },
        }),
      ],
    });
  });
  after(async () => platform.close());

  it('gives a rehearsed agent an extract, at a simulated cost', async () => {
    const handle = await platform.start('rehearsed', 'Look up eight orders.');
    assert.deepEqual((await handle.result()).outcome, { kind: 'completed' });
    const timeline = await createRunReader(platform.stores).timeline(platform.tenant, handle.workflowId);
    const compactions = timeline.filter(({ kind }) => kind === 'compact');
    assert.ok(compactions.length > 0);
    for (const { outcome, isCostSimulated } of compactions)
      assert.deepEqual([outcome, isCostSimulated], ['summarised', true]);
  });
});

/** Every result follows the call that it belongs to, and every call has its result before anything else is said. */
function assertPaired(messages: readonly WireMessage[]): void {
  let open = new Set<string>();
  for (const message of messages) {
    if (message.role === 'tool') {
      assert.ok(open.delete(message['tool_call_id'] as string), 'a result without its call');
      continue;
    }
    assert.equal(open.size, 0, 'a call without its result');
    open = new Set(((message['tool_calls'] ?? []) as readonly { id: string }[]).map(({ id }) => id));
  }
  assert.equal(open.size, 0, 'a call without its result');
}
