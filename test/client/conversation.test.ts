// Goal: a message of a conversation is answered once by its key, questions are replies, ended conversations say so and can go on.
// Method: real servers, workers with scripted models in this process, executions deleted and terminated through Temporal's own API.
import assert from 'node:assert/strict';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { createClient, InvalidInput, MessageRejected, type PerdureClient, type Reply } from '../../src/client/index.ts';
import type { MessagePart } from '../../src/domain/model/message-part.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { deleteExecution } from '../support/delete-execution.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { payTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const arrived: { key: string; amount: number }[] = [];

/** Answers with the number of the call and the user's last words, so that every turn is seen. */
const echo = scripted(({ parts, call }) => {
  const said = parts.flatMap((part) => (part.kind === 'user-text' ? [part.text] : []));
  return { text: `${call}: ${said.join(' | ')}`, ...(said.at(-1) === 'slowly' ? { delayMs: 1_500 } : {}) };
});

const curious = scripted(({ parts }) => {
  const last = parts.at(-1);
  if (last?.kind === 'tool-result') return { text: `You said ${JSON.stringify(last.output)}.` };
  return { toolCalls: [{ tool: 'askPerson', input: { question: 'Which order?' } }] };
});

const strict = scripted(({ parts }) => ({
  text: parts.some((part) => part.kind === 'guidance') ? 'I do not know.' : 'It is order A-9999.',
}));

const payer = scripted(({ parts }) => {
  const last = parts.at(-1);
  if (last?.kind === 'user-text' && last.text === 'pay')
    return { toolCalls: [{ tool: 'pay', input: { amount: 500 } }] };
  return {
    text: `seen: ${parts.map((part) => (part.kind === 'tool-result' ? JSON.stringify(part.output) : part.kind)).join(', ')}`,
  };
});

function textOf(reply: Reply): string {
  return reply.kind === 'ended' ? `ended: ${reply.end?.outcome.kind}` : reply.text;
}

function isText(part: MessagePart, text: string): boolean {
  return part.kind === 'user-text' && part.text === text;
}

async function stopped(client: PerdureClient, id: string): Promise<void> {
  await client.run(id).requestStop('enough');
  await client.run(id).result();
}

describe('client: conversations', function () {
  this.timeout(120_000);
  let platform: Platform;
  let client: PerdureClient;

  before(async () => {
    platform = await startPlatform({
      agents: [
        testAgent('echo', { guardrails: [{ name: 'no-secrets', pattern: 'secret', verdict: 'block' }] }),
        testAgent('curious', { asksPerson: { deadlineMs: 60_000 } }),
        testAgent('strict', { reflection: { groundedPatterns: ['[A-Z]-\\d{4}'], revisionsMax: 1 } }),
        testAgent('payer', { tools: [payTool({ arrived })], approvals: [{ name: 'any', tool: 'pay' }] }),
      ],
      scripts: { echo, curious, strict, payer },
      env: { PERDURE_TURNS_PER_EXECUTION: '2' },
    });
    client = createClient({
      connection: platform.client.connection as never,
      namespace: platform.client.options.namespace,
      taskQueue: `${platform.queuePrefix}-agents`,
      reader: createRunReader(platform.stores),
      principal: 'tester',
      answerMs: 20_000,
    });
  });

  after(async () => platform?.close());

  const say = async (id: string, text: string, key: string, agent = 'echo', more = {}): Promise<Reply> => {
    const sent = await client.send(id, text, { agent, tenant: platform.tenant, key, ...more });
    return sent.reply();
  };
  const remove = (id: string): Promise<void> =>
    deleteExecution(platform.client.connection as never, platform.client.options.namespace, id);

  it('answers each message once by its key: at once, after continue-as-new, and after Temporal forgot the run', async () => {
    const calls = echo.views.length;
    const first = await say('one', 'a', 'k1');
    assert.equal(first.kind, 'answered');
    assert.equal(textOf(first), `${calls + 1}: a`);
    // Other words under the same key: the first ones stand.
    assert.deepEqual(await say('one', 'something else', 'k1'), first);
    const texts = ['b', 'c', 'd', 'e'];
    for (const [index, text] of texts.entries())
      assert.match(textOf(await say('one', text, `k${index + 2}`)), /: a \| b/);
    // Two turns an execution: the run has continued as new twice by now.
    assert.deepEqual(await say('one', 'a', 'k1'), first);
    assert.equal(first.kind === 'answered' && first.usage.turns === 1 && first.usage.outputTokens > 0, true);
    const handle = await client.findConversation('one', { agent: 'echo', tenant: platform.tenant });
    assert.equal(handle?.id, first.agentRunId);
    await handle.requestStop('enough');
    await handle.result();
    await remove(first.agentRunId);
    assert.deepEqual(await say('one', 'a', 'k1'), first);
    assert.equal(echo.views.length, calls + 5);
    assert.equal(await handle.exists(), false);
  });

  it('brings the first messages of several senders into one run, each once', async () => {
    const keys = ['k1', 'k2', 'k1', 'k3', 'k2'];
    const replies = await Promise.all(keys.map((key) => say('crowd', `said ${key}`, key)));
    assert.equal(new Set(replies.map(({ agentRunId }) => agentRunId)).size, 1);
    const transcript = await createRunReader(platform.stores).transcript(platform.tenant, replies[0]?.agentRunId ?? '');
    const said = transcript.flatMap((part) => (part.kind === 'user-text' ? [part.text] : []));
    assert.deepEqual(said.toSorted(), ['said k1', 'said k2', 'said k3']);
    assert.deepEqual(replies[0], replies[2]);
  });

  it('keeps agents, tenants and conversations apart', async () => {
    const here = await say('apart', 'a', 'k1');
    const other = await client.send('apart', 'a', { agent: 'echo', tenant: `${platform.tenant}-b`, key: 'k1' });
    assert.notEqual(other.agentRunId, here.agentRunId);
    await other.reply();
    assert.notEqual((await say('apart 2', 'a', 'k1')).agentRunId, here.agentRunId);
    assert.notEqual((await say('apart', 'a', 'k1', 'strict')).agentRunId, here.agentRunId);
  });

  it('gives a question as the reply, and the next message as its answer', async () => {
    const asked = await say('question', 'Where is it?', 'k1', 'curious');
    assert.deepEqual([asked.kind, textOf(asked)], ['asked', 'Which order?']);
    const answered = await say('question', 'A-1090', 'k2', 'curious');
    assert.deepEqual([answered.kind, textOf(answered)], ['answered', 'You said "A-1090".']);
    assert.deepEqual(await say('question', 'Where is it?', 'k1', 'curious'), asked);
  });

  it('gives the answer that stands where the check of the release sends one back', async () => {
    const reply = await say('strict', 'Which order?', 'k1', 'strict');
    assert.deepEqual([textOf(reply), reply.kind === 'answered' && reply.usage.turns], ['I do not know.', 2]);
    assert.deepEqual(await say('strict', 'Which order?', 'k1', 'strict'), reply);
  });

  it('tells of a call that a person must approve, and goes on to the reply', async () => {
    const sent = await client.send('approval', 'pay', { agent: 'payer', tenant: platform.tenant, key: 'k1' });
    const seen: string[] = [];
    for await (const progress of sent.follow({ pollMs: 50 })) {
      if (!seen.includes(progress.kind)) seen.push(progress.kind);
      if (progress.kind === 'approval') {
        const { id: approvalId, argsHash } = progress.approval;
        const handle = client.run(sent.agentRunId, { tenant: platform.tenant });
        await handle.decideApproval({ decision: { kind: 'approve' }, approvalId, argsHash });
      }
    }
    assert.deepEqual([seen.includes('approval'), seen.at(-1)], [true, 'reply']);
    assert.equal(arrived.length, 1);
  });

  it('says how a conversation ended, and goes on from there only where the caller wants it', async () => {
    const first = await say('over', 'a', 'k1');
    const handle = client.run(first.agentRunId, { tenant: platform.tenant });
    await handle.requestStop('the customer called');
    await handle.result();
    const ended = await say('over', 'b', 'k2');
    assert.equal(ended.kind, 'ended');
    assert.deepEqual(ended.kind === 'ended' && [ended.end?.outcome, ended.wasTaken], [
      { kind: 'cancelled', reason: 'the customer called' },
      false,
    ]);
    const on = await say('over', 'b', 'k2', 'echo', { continueAfter: ['cancelled'] });
    assert.equal(on.kind, 'answered');
    assert.notEqual(on.agentRunId, first.agentRunId);
    // It knows what was said before, and the keys of before still give their replies.
    assert.match(textOf(on), /: a \| b$/);
    assert.deepEqual(await say('over', 'a', 'k1'), first);
    assert.deepEqual(await say('over', 'b', 'k2'), on);
    await remove(first.agentRunId);
    assert.match(textOf(await say('over', 'c', 'k3')), /: a \| b \| c$/);
  });

  it('goes on with what was said before the end and never answered', async () => {
    const { agentRunId } = await say('unheard', 'a', 'k1');
    await client.send('unheard', 'slowly', { agent: 'echo', tenant: platform.tenant, key: 'k2' });
    await until('the model works on it', async () => echo.views.at(-1)?.parts.some((part) => isText(part, 'slowly')));
    await stopped(client, agentRunId);
    const on = await say('unheard', 'c', 'k3', 'echo', { continueAfter: ['cancelled'] });
    assert.match(textOf(on), /: a \| slowly \| c$/);
  });

  it('goes on about the same subject only', async () => {
    const first = await say('about', 'a', 'k1', 'echo', { subject: 'ann' });
    await stopped(client, first.agentRunId);
    const on = await say('about', 'b', 'k2', 'echo', { continueAfter: ['cancelled'] });
    assert.match(textOf(on), /: a \| b$/);
    await stopped(client, on.agentRunId);
    const other = await say('about', 'c', 'k3', 'echo', { continueAfter: ['cancelled'], subject: 'bob' });
    assert.match(
      other.kind === 'ended' && other.end?.outcome.kind === 'refused' ? other.end.outcome.reason : textOf(other),
      /about another subject/,
    );
  });

  it('goes on by itself after the deadline, and gives open calls a result', async () => {
    const sent = await client.send('late', 'pay', {
      agent: 'payer',
      tenant: platform.tenant,
      key: 'k1',
      deadlineMs: 4_000,
    });
    const expired = await sent.reply();
    assert.deepEqual(expired.kind === 'ended' && [expired.end?.outcome.kind, expired.wasTaken], ['expired', true]);
    const on = await say('late', 'And now?', 'k2', 'payer');
    assert.match(textOf(on), /^seen: user-text, tool-call, "This was not done: .*", user-text$/);
    // What the ended run had taken in starts no second turn, whatever is asked for.
    const again = await say('late', 'pay', 'k1', 'payer', { continueAfter: ['expired', 'cancelled'] });
    assert.deepEqual([again.kind, again.agentRunId], ['ended', sent.agentRunId]);
  });

  it('finds no end for a run that was terminated, and begins another one after it where that is wanted', async () => {
    const first = await say('lost', 'a', 'k1');
    await platform.client.workflow.getHandle(first.agentRunId).terminate('by an operator');
    const lost = await say('lost', 'b', 'k2');
    assert.deepEqual(lost.kind === 'ended' && [lost.end, lost.wasTaken], [null, false]);
    assert.match(textOf(await say('lost', 'b', 'k2', 'echo', { continueAfter: ['lost'] })), /: a \| b$/);
  });

  it('refuses the first message by a guardrail, and another one begins anew where that is wanted', async () => {
    const refused = await say('refused', 'my secret', 'k1');
    assert.equal(textOf(refused), 'ended: refused');
    assert.match(textOf(await say('refused', 'a', 'k2', 'echo', { continueAfter: ['refused'] })), /: a$/);
  });

  it('sends nothing that is not valid, and starts no run for it', async () => {
    const send = (id: string, text: string, more = {}) =>
      client.send(id, text, { agent: 'echo', tenant: platform.tenant, ...more });
    for (const wrong of [
      send('bad', ''),
      send('', 'a'),
      send('x'.repeat(129), 'a'),
      send('line\nbreak', 'a'),
      send('bad', 'a', { key: 'perdure:start' }),
      send('bad', 'a', { continueAfter: ['never'] }),
      send('bad', 'a', { startKey: 'x' }),
      send('bad', 'a', { tenant: 'no spaces' }),
    ]) {
      await assert.rejects(wrong, InvalidInput);
    }
    assert.equal(await client.findConversation('bad', { agent: 'echo', tenant: platform.tenant }), null);
  });

  it('refuses a key that steers the run', async () => {
    const { agentRunId } = await say('steered', 'a', 'k1');
    await client.run(agentRunId).steer('Be brief.', { key: 'k2' });
    await until('the guidance', async () => echo.views.at(-1)?.parts.some((part) => part.kind === 'guidance'));
    await assert.rejects(say('steered', 'b', 'k2'), MessageRejected);
  });

  it('stops waiting for a reply when the caller does, and the run goes on', async () => {
    const sent = await client.send('patience', 'slowly', { agent: 'echo', tenant: platform.tenant, key: 'k1' });
    await assert.rejects(sent.reply({ signal: AbortSignal.timeout(300) }), { name: 'TimeoutError' });
    assert.equal((await sent.reply()).kind, 'answered');
  });

  it('records a message that no worker takes, and answers it when one comes', async () => {
    await platform.stopWorkers();
    const impatient = createClient({
      connection: platform.client.connection as never,
      namespace: platform.client.options.namespace,
      taskQueue: `${platform.queuePrefix}-agents`,
      reader: createRunReader(platform.stores),
      answerMs: 1_000,
    });
    const send = () => impatient.send('deploy', 'a', { agent: 'echo', tenant: platform.tenant, key: 'k1' });
    const [sent, again] = [await send(), await send()];
    await platform.startWorkers();
    const reply = await sent.reply();
    assert.equal(reply.kind, 'answered');
    assert.deepEqual(await again.reply(), reply);
  });
});
