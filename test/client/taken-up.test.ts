// Goal: what a run leaves is not lost to the one that goes on: its files, its first message, what it had begun, and its conversation.
// Method: real servers and workers with scripted models that tell what they see; runs are stopped in the middle and taken up or followed.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { defineTool } from '../../src/authoring/index.ts';
import { createClient, type PerdureClient, type Reply } from '../../src/client/index.ts';
import { createAttachmentWriter } from '../../src/stores/attachment-writer.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { untilPhase } from '../support/workflow/talk.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const png = Buffer.concat([Buffer.from('\u0089PNG\r\n\u001a\n', 'latin1'), Buffer.alloc(500, 7)]);
const HOUR_MS = 60 * 60 * 1000;

function textOf(reply: Reply): string {
  return reply.kind === 'ended' ? `ended: ${reply.end?.outcome.kind}` : reply.text;
}

describe('a run that goes on from another one', function () {
  this.timeout(180_000);
  let platform: Platform;
  let client: PerdureClient;
  /** While it is on, the viewer's model gives no answer. */
  let isSlow = false;
  const tokens = new Map<string, string>();

  /** Tells what was said since its last answer. */
  const viewer = scripted(({ parts }) => {
    const at = parts.findLastIndex((part) => part.kind === 'assistant-text');
    const said = parts
      .slice(at + 1)
      .map((part) => (part.kind === 'file' ? part.name : 'text' in part ? part.text : ''));
    return { text: `seen: ${said.join(' | ')}`, ...(isSlow ? { delayMs: 60_000 } : {}) };
  });
  /** Begins two quotes at once, then tells every result. */
  const buyer = scripted(({ parts }) => {
    const results = parts.flatMap((part) => (part.kind === 'tool-result' ? [JSON.stringify(part.output)] : []));
    if (results.length > 0) return { text: results.join(' | ') };
    return { toolCalls: ['A', 'B'].map((id) => ({ tool: 'requestQuote', input: { id } })) };
  });
  const requestQuote = defineTool({
    name: 'requestQuote',
    version: '1.0.0',
    description: 'Asks for a quote.',
    owner: 'tests',
    effect: 'read',
    input: z.object({ id: z.string() }),
    output: z.object({ priceUsd: z.number() }),
    deferred: { timeoutMs: HOUR_MS },
    run: async ({ id }, { token }) => {
      tokens.set(id, token);
      return `asked for ${id}`;
    },
  });

  /** The same as a write. */
  const orderPrint = defineTool({
    name: 'orderPrint',
    version: '1.0.0',
    description: 'Orders a print.',
    owner: 'tests',
    effect: 'write',
    input: z.object({ id: z.string() }),
    output: z.object({ priceUsd: z.number() }),
    deferred: { timeoutMs: HOUR_MS },
    run: async ({ id }, { token }) => {
      orders.push(token);
      return `ordered ${id}`;
    },
  });
  const orders: string[] = [];
  const printer = scripted(({ parts }) => {
    const results = parts.flatMap((part) => (part.kind === 'tool-result' ? [JSON.stringify(part.output)] : []));
    return results.length > 0 ? { text: results.join() } : { toolCalls: [{ tool: 'orderPrint', input: { id: 'A' } }] };
  });

  before(async () => {
    const models = {
      standard: {
        id: 'scripted:viewer',
        outputTokensMax: 1_000,
        contextTokensMax: 400_000,
        reads: ['image'] as const,
      },
    };
    platform = await startPlatform({
      agents: [
        testAgent('viewer', { models }),
        testAgent('buyer', { tools: [requestQuote] }),
        testAgent('printer', { tools: [orderPrint] }),
      ],
      scripts: { viewer, buyer, printer },
    });
    client = createClient({
      connection: platform.client.connection as never,
      namespace: platform.client.options.namespace,
      taskQueue: `${platform.queuePrefix}-agents`,
      reader: createRunReader(platform.stores),
      attachments: createAttachmentWriter(platform.stores),
      principal: 'tester',
      answerMs: 20_000,
    });
  });
  after(async () => platform?.close());

  const send = (id: string, text: string, key: string, more = {}) =>
    client.send(id, text, { agent: 'viewer', tenant: platform.tenant, key, ...more });
  const say = async (id: string, text: string, key: string, more = {}): Promise<Reply> =>
    (await send(id, text, key, more)).reply();
  const stop = async (id: string): Promise<void> => {
    const run = client.run(id, { tenant: platform.tenant });
    await run.requestStop('enough');
    await run.result();
  };
  /** Does something while the model thinks, and stops the run before it has said anything. */
  const stopWhileThinking = async (begin: () => Promise<{ readonly id: string }>): Promise<string> => {
    const asked = viewer.views.length;
    isSlow = true;
    const { id } = await begin();
    await until('the model is asked', async () => viewer.views.length > asked);
    await stop(id);
    isSlow = false;
    return id;
  };
  const files = { attachments: [{ data: png, name: 'lamp.png' }] };

  it('shows the model the files of an input that no reply has heard', async () => {
    const stopped = await stopWhileThinking(() =>
      client.start({ agent: 'viewer', input: 'See.', tenant: platform.tenant, ...files }),
    );
    const successor = await client.retry(stopped, { tenant: platform.tenant });
    assert.equal((await successor.result()).answer?.preview, 'seen: See. | lamp.png');
  });

  it('hears the first message of a conversation once, and its files', async () => {
    const stopped = await stopWhileThinking(async () => {
      const { agentRunId: id } = await send('first', 'Look.', 'k1', files);
      return { id };
    });
    const successor = await client.retry(stopped, { tenant: platform.tenant });
    const answer = await until('the answer', async () => (await successor.state()).answer?.preview);
    assert.equal(answer, 'seen: Look. | lamp.png');
  });

  it('goes on with a conversation in the run that has taken it up', async () => {
    const first = await say('again', 'a', 'k1');
    const stopped = await stopWhileThinking(async () => {
      const { agentRunId: id } = await send('again', 'b', 'k2');
      return { id };
    });
    assert.equal(textOf(await say('again', 'c', 'k3')), 'ended: cancelled');
    const successor = await client.retry(stopped, { tenant: platform.tenant });
    await until('the successor is admitted', async () => (await successor.state()).release !== null);
    const found = await client.findConversation('again', { agent: 'viewer', tenant: platform.tenant });
    assert.equal(found?.id, successor.id);
    // What the ended run had taken in is answered by the one that took it up, and what it had answered stands.
    const [b, c] = [await say('again', 'b', 'k2'), await say('again', 'c', 'k3')];
    assert.deepEqual([textOf(b), textOf(c)], ['seen: b', 'seen: c']);
    assert.deepEqual([b.agentRunId, c.agentRunId], [successor.id, successor.id]);
    assert.deepEqual(await say('again', 'a', 'k1'), first);
    await stop(successor.id);
    const next = await say('again', 'd', 'k4', { continueAfter: ['cancelled'] });
    assert.equal(textOf(next), 'seen: d');
    const transcript = await createRunReader(platform.stores).transcript(platform.tenant, next.agentRunId);
    const said = transcript.flatMap((part) => (part.kind === 'user-text' ? [part.text] : []));
    assert.deepEqual(said, ['a', 'b', 'c', 'd']);
    assert.deepEqual(await say('again', 'c', 'k3'), c);
  });

  it('does not wait for a result that an ended run of its lineage was to have', async () => {
    const { id } = await client.start({ agent: 'printer', input: 'Print.', tenant: platform.tenant });
    await untilPhase(platform.client.workflow.getHandle(id) as never, 'waiting');
    await stop(id);
    const successor = await client.retry(id, { tenant: platform.tenant, fromTurn: 1 });
    assert.match((await successor.result()).answer?.preview ?? '', /orderPrint was begun, and its result had not come/);
    assert.equal(orders.length, 1);
  });

  it('tells the next part of a conversation what was begun, and the results that had come', async () => {
    const sent = await send('quotes', 'Ask.', 'k1', { agent: 'buyer' });
    const handle = platform.client.workflow.getHandle(sent.agentRunId) as never;
    await untilPhase(handle, 'waiting');
    await client.completeTool(tokens.get('A') ?? '', { output: { priceUsd: 7 } });
    await until('the result is written', async () => {
      const rows = await createRunReader(platform.stores).deferredCalls(platform.tenant, { state: 'completed' });
      return rows.length === 1;
    });
    await stop(sent.agentRunId);
    const next = await say('quotes', 'And?', 'k2', { agent: 'buyer', continueAfter: ['cancelled'] });
    assert.match(textOf(next), /^\{"priceUsd":7\} \| "requestQuote was begun, and its result had not come.*"$/);
  });
});
