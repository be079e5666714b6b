// Goal: a tool call may get its result days later, from anyone who has its token, once; and the run waits for it without a process.
// Method: scripted runs against the real servers whose tools note their tokens; the client library completes them, with and without workers.
import assert from 'node:assert/strict';
import type { Connection } from '@temporalio/client';
import { z } from 'zod';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { type DeferredToolContext, defineTool, ToolRefusal } from '../../src/authoring/index.ts';
import { createClient, InvalidInput, MessageRejected } from '../../src/client/index.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import { pendingQuery, usageQuery } from '../../src/workflows/agent-run.messages.ts';
import { activitiesOf, readExecutions, readHistory, timersOf } from '../support/workflow/history.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import { answerOf, signal, stateOf, untilPhase, update } from '../support/workflow/talk.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const HOUR_MS = 60 * 60 * 1000;

/** Above what an attempt of this machine takes, below what a person waits. */
const SHORT_MS = 1_500;

type Begun = { readonly token: string; readonly key: string; readonly attempt: number };

describe('a deferred tool', function () {
  this.timeout(240_000);
  let platform: Platform;
  /** What the tools have begun, by the case that the model names. */
  const begun = new Map<string, Begun[]>();
  /** What a tool does once it has handed on its token, by case. */
  const then = new Map<string, (begun: Begun) => Promise<void>>();
  const env: Record<string, string> = {};

  const begin = async ({ id }: { readonly id: string }, context: DeferredToolContext): Promise<string> => {
    const { token, idempotencyKey: key, attempt } = context;
    begun.set(id, [...(begun.get(id) ?? []), { token, key, attempt }]);
    await then.get(id)?.({ token, key, attempt });
    return `job of ${id}`;
  };
  const common = {
    version: '1.0.0',
    description: 'Takes its time.',
    owner: 'tests',
    input: z.object({ id: z.string() }),
    output: z.object({ priceUsd: z.number() }),
    run: begin,
  };
  const tools = [
    defineTool({ ...common, name: 'requestQuote', effect: 'read', deferred: { timeoutMs: HOUR_MS } }),
    defineTool({ ...common, name: 'quickQuote', effect: 'read', deferred: { timeoutMs: SHORT_MS } }),
    defineTool({ ...common, name: 'orderPrint', effect: 'write', deferred: { timeoutMs: HOUR_MS } }),
    defineTool({ ...common, name: 'orderBlind', effect: 'write', timeoutMs: 500, deferred: { timeoutMs: HOUR_MS } }),
    lookupTool('lookup'),
  ];
  /** Makes the calls that the first text lists, and then tells all results. */
  const model = scripted(({ parts }) => {
    const results = parts.flatMap((part) => (part.kind === 'tool-result' ? [part] : []));
    const text = parts.find((part) => part.kind === 'user-text')?.text ?? '';
    if (results.length > 0) return { text: JSON.stringify(results.map(({ output }) => output)) };
    return { toolCalls: text.split(' ').map((call) => toCall(call)) };
  });

  before(async () => {
    const agent = testAgent('buyer', { tools });
    platform = await startPlatform({ agents: [agent], scripts: { buyer: model }, env });
  });
  after(async () => platform.close());

  const connect = (answerMs = 20_000) => {
    const { connection, options } = platform.client;
    const { namespace } = options;
    return createClient({ connection: connection as Connection, namespace, principal: 'shop', answerMs });
  };
  const begunOf = async (id: string): Promise<Begun> => until(`${id} is begun`, async () => begun.get(id)?.[0]);
  const waiting = async (input: string, options = {}): Promise<RunHandle> => {
    const handle = await platform.start('buyer', input, options);
    await untilPhase(handle, 'waiting');
    return handle;
  };
  const rowOf = async (token: string) =>
    platform.db.selectFrom('deferred_calls').selectAll().where('token', '=', token).executeTakeFirstOrThrow();
  const rejection = async (token: string, output: JsonValue): Promise<string> => {
    const sent = connect().completeTool(token, { output });
    const error: unknown = await sent.then(
      () => assert.fail('it was taken'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof MessageRejected, String(error));
    return error.message;
  };

  it('is completed by a client after the workers were away', async () => {
    const handle = await waiting('requestQuote:away');
    const { token } = await begunOf('away');
    const [pending] = await handle.query(pendingQuery);
    const { deadline_at: deadline, ...row } = await rowOf(token);
    const view = { turn: 1, tool: 'requestQuote', token, deadlineAt: deadline.getTime() };
    assert.deepEqual(pending, { kind: 'deferred', ...view });
    assert.deepEqual((await stateOf(handle)).deferred, [view]);
    assert.deepEqual([row.state, row.tool, row.turn, row.call_index], ['waiting', 'requestQuote@1', 1, 0]);
    assert.ok(Math.abs(deadline.getTime() - row.created_at.getTime() - HOUR_MS) < 60_000);
    const { activeMs } = await handle.query(usageQuery);
    await platform.stopWorkers();
    await platform.startWorkers();
    const sent = await connect().completeTool(token, { output: { priceUsd: 12 } }, { principal: 'bea' });
    assert.deepEqual(sent, { result: 'applied' });
    assert.equal(await answerOf(handle), '[{"priceUsd":12}]');
    const { state, completed_by: by, message_id: messageId, note_ref: note, result_ref: ref } = await rowOf(token);
    assert.deepEqual(
      [state, by, messageId !== null, note !== null, ref !== null],
      ['completed', 'bea', true, true, true],
    );
    const audit = await platform.db
      .selectFrom('audit')
      .select(['principal', 'action', 'after'])
      .where('tenant', '=', platform.tenant)
      .where('target', '=', handle.workflowId)
      .where('action', '=', 'tool.completed')
      .execute();
    assert.deepEqual(
      audit.map(({ principal, after }) => [principal, after !== null && 'tool' in after && after.tool]),
      [['bea', 'requestQuote@1']],
    );
    const used = await handle.query(usageQuery);
    assert.equal(used.toolCalls, 1);
    assert.ok(used.activeMs < activeMs + 30_000, `${used.activeMs} ms of work`);
    assert.deepEqual(timersOf(await readHistory(platform, handle)), [
      'deadline of the run',
      'turn 1: the time of requestQuote is over',
    ]);
  });

  it('is completed while no worker runs: the result is kept', async () => {
    const handle = await waiting('orderPrint:nobody');
    const { token } = await begunOf('nobody');
    await platform.stopWorkers();
    const sent = await connect(500).completeTool(token, { output: { priceUsd: 3 } });
    assert.deepEqual(sent, { result: 'sent' });
    await platform.startWorkers();
    assert.equal(await answerOf(handle), '[{"priceUsd":3}]');
    assert.equal((await rowOf(token)).completed_by, 'shop');
    const effects = platform.db.selectFrom('effects').select('state').where('run_id', '=', handle.workflowId);
    assert.deepEqual(await effects.execute(), [{ state: 'succeeded' }]);
  });

  it('is completed before the run has heard of its token', async () => {
    for (const tool of ['requestQuote', 'orderPrint']) {
      const id = `early-${tool}`;
      const receipts: string[] = [];
      then.set(id, async ({ token }) => {
        const guess = `${token.slice(0, -22)}${'0'.repeat(22)}`;
        receipts.push((await connect().completeTool(guess, { output: { priceUsd: 0 } })).result);
        receipts.push((await connect().completeTool(token, { output: { priceUsd: 5 } })).result);
      });
      const handle = await platform.start('buyer', `${tool}:${id}`, { kind: 'conversation' });
      await until('answer', async () => (await stateOf(handle)).answer?.preview === '[{"priceUsd":5}]');
      assert.deepEqual(receipts, ['applied', 'applied']);
      const { rejectedMessages } = await stateOf(handle);
      assert.deepEqual(
        rejectedMessages.map(({ kind, problem }) => [kind, problem.startsWith('the token is not the one')]),
        [['completeTool', true]],
      );
    }
  });

  it('has the model told when no result came in time, and takes none after that', async () => {
    const handle = await platform.start('buyer', 'quickQuote:late', { kind: 'conversation' });
    const { token } = await begunOf('late');
    const state = await until('answer', async () => {
      const now = await stateOf(handle);
      return now.answer === null ? null : now;
    });
    assert.match(state.answer?.preview ?? '', /^\["quickQuote was begun, but no result of it came until 20.*Z\."\]$/);
    assert.match(
      await rejection(token, { priceUsd: 1 }),
      /call 0 of turn 1 waits for no result any more.*waiting: none/,
    );
    const row = await rowOf(token);
    assert.deepEqual([row.state, row.completed_by], ['expired', 'perdure']);
  });

  it('is completed once, however often the same result comes, and by no other after it', async () => {
    const handle = await waiting('requestQuote:twice', { kind: 'conversation' });
    const { token } = await begunOf('twice');
    const client = connect();
    const sent = [
      await client.completeTool(token, { output: { priceUsd: 7 } }),
      await client.completeTool(token, { output: { priceUsd: 7 } }),
    ];
    assert.deepEqual(sent, [{ result: 'applied' }, { result: 'already-applied' }]);
    assert.match(await rejection(token, { priceUsd: 8 }), /was given its result already|waits for no result any more/);
    await until('answer', async () => (await stateOf(handle)).answer?.preview === '[{"priceUsd":7}]');
    assert.match(await rejection(token, { priceUsd: 8 }), /waits for no result any more/);
  });

  it('is not completed by a wrong token, which is told no right one', async () => {
    const handle = await waiting('requestQuote:wrong');
    const { token } = await begunOf('wrong');
    const guess = `${token.slice(0, -22)}${'0'.repeat(22)}`;
    const problem = await rejection(guess, { priceUsd: 1 });
    assert.match(
      problem,
      /the token is not the one that requestQuote was given; waiting: requestQuote \(call 0 of turn 1\)$/,
    );
    await assert.rejects(connect().completeTool('none', { output: 1 }), InvalidInput);
    await assert.rejects(connect().completeTool(token, {} as never), InvalidInput);
    await assert.rejects(connect().completeTool(token, { error: '' }), InvalidInput);
    const deep = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000)) as JsonValue;
    await assert.rejects(connect().completeTool(token, { output: deep }), InvalidInput);
    await signal(handle, 'completeTool', { token: guess, result: { output: { priceUsd: 1 } } });
    await until('refusal', async () => (await stateOf(handle)).rejectedMessages.length === 1);
    assert.deepEqual(await connect().completeTool(token, { error: 'The supplier has closed.' }), { result: 'applied' });
    assert.equal(await answerOf(handle), '["The supplier has closed."]');
    assert.equal((await rowOf(token)).state, 'failed');
  });

  it('has the model read of a result that is not in its documented shape', async () => {
    const handle = await waiting('requestQuote:shape');
    const { token } = await begunOf('shape');
    await connect().completeTool(token, { output: { priceUsd: 'twelve' } });
    assert.match(
      await answerOf(handle),
      /The result that came of requestQuote is not in its documented shape: .*expected number/,
    );
    const row = await rowOf(token);
    assert.deepEqual([row.state, row.completed_by], ['invalid', 'shop']);
  });

  it('waits beside another one and a read, and each gets its own result', async () => {
    const handle = await waiting('requestQuote:first lookup:middle orderPrint:second');
    const [first, second] = [await begunOf('first'), await begunOf('second')];
    assert.equal((await handle.query(usageQuery)).toolCalls, 3);
    await connect().completeTool(second.token, { output: { priceUsd: 2 } });
    await until('one left', async () => (await stateOf(handle)).deferred.length === 1);
    await connect().completeTool(first.token, { output: { priceUsd: 1 } });
    assert.equal(await answerOf(handle), '[{"priceUsd":1},"found middle",{"priceUsd":2}]');
  });

  it('hears what is said, pauses and goes on while it waits', async () => {
    const handle = await waiting('requestQuote:busy');
    const { token } = await begunOf('busy');
    await update(handle, 'steer', { text: 'Be quick.' });
    await until('heard', async () => (await stateOf(handle)).waitingMessages === 0);
    await untilPhase(handle, 'waiting');
    await update(handle, 'pause', {});
    await untilPhase(handle, 'paused');
    await connect().completeTool(token, { output: { priceUsd: 9 } });
    assert.equal((await stateOf(handle)).phase, 'paused');
    await update(handle, 'resume', {});
    assert.equal(await answerOf(handle), '[{"priceUsd":9}]');
  });

  it('is given up when the run is stopped, cancelled or expires', async () => {
    const ends: readonly (readonly [string, () => object, (handle: RunHandle) => Promise<unknown>])[] = [
      ['cancelled', () => ({}), async (handle) => update(handle, 'requestStop', { reason: 'enough' })],
      ['cancelled', () => ({}), async (handle) => handle.cancel()],
      ['expired', () => ({ deadlineAt: Date.now() + 8_000 }), async () => undefined],
    ];
    for (const [index, [outcome, options, stop]] of ends.entries()) {
      const handle = await waiting(`requestQuote:stop-${index}`, options());
      const { token } = await begunOf(`stop-${index}`);
      await stop(handle);
      assert.equal((await handle.result()).outcome.kind, outcome);
      assert.equal((await rowOf(token)).state, 'cancelled');
      assert.match(await rejection(token, { priceUsd: 1 }), /the run has ended/);
    }
  });

  it('gives its result to a run that takes up its own, and is not begun again when it has none', async () => {
    const handle = await waiting('requestQuote:come orderPrint:lost');
    await connect().completeTool((await begunOf('come')).token, { output: { priceUsd: 7 } });
    await until(
      'the result is settled',
      async () => (await rowOf((await begunOf('come')).token)).state === 'completed',
    );
    await update(handle, 'requestStop', { reason: 'enough' });
    await handle.result();
    const successor = await platform.start('buyer', '', { retryOf: { runId: handle.workflowId } });
    const answer = await answerOf(successor);
    assert.match(answer ?? '', /"priceUsd":7/);
    assert.match(answer ?? '', /orderPrint was begun, and its result had not come when the run was ended/);
    assert.deepEqual([begun.get('come')?.length, begun.get('lost')?.length], [1, 1]);
  });

  it('keeps its token when an attempt breaks off, and a write is begun once', async () => {
    then.set('again', async ({ attempt }) => {
      if (attempt === 1) throw new Error('socket hang up');
    });
    const read = await waiting('requestQuote:again');
    const attempts = begun.get('again') ?? [];
    assert.deepEqual([attempts.length, new Set(attempts.map(({ token }) => token)).size], [2, 1]);
    await connect().completeTool(attempts[0]?.token ?? '', { output: { priceUsd: 4 } });
    assert.equal(await answerOf(read), '[{"priceUsd":4}]');

    // The write has begun its work and is settled; the attempt breaks off before it can say so.
    await platform.stopWorkers();
    env['PERDURE_FAILPOINTS'] = 'effect:settled=error';
    await platform.startWorkers();
    const write = await waiting('orderPrint:once');
    delete env['PERDURE_FAILPOINTS'];
    const [only, ...others] = begun.get('once') ?? [];
    assert.deepEqual(others, []);
    await connect().completeTool(only?.token ?? '', { output: { priceUsd: 6 } });
    assert.equal(await answerOf(write), '[{"priceUsd":6}]');
  });

  it('does not wait for what the tool refused to begin', async () => {
    then.set('refused', async () => {
      throw new ToolRefusal('No such supplier.');
    });
    const handle = await platform.start('buyer', 'requestQuote:refused');
    assert.equal(await answerOf(handle), '["No such supplier."]');
    const { token } = await begunOf('refused');
    assert.equal((await rowOf(token)).state, 'cancelled');
  });

  it('blocks its run while no worker has the schema of its result', async () => {
    const handle = await waiting('requestQuote:gone');
    const { token } = await begunOf('gone');
    await platform.stopWorkers();
    await platform.startWorkers({ agents: [testAgent('buyer', { tools: tools.slice(1) })] });
    await connect().completeTool(token, { output: { priceUsd: 2 } });
    const { blocked } = await untilPhase(handle, 'blocked');
    assert.deepEqual(
      [blocked?.cause, blocked?.message],
      ['tool-missing', 'no worker serves the tool requestQuote@1 of the agent buyer'],
    );
    await platform.stopWorkers();
    await platform.startWorkers({ agents: [testAgent('buyer', { tools })] });
    assert.equal(await answerOf(handle), '[{"priceUsd":2}]');
    assert.equal((await rowOf(token)).state, 'completed');
  });

  it('is taken as begun when a person says so, with the result that came meanwhile', async () => {
    then.set('unknown', async () => {
      throw new Error('socket hang up');
    });
    const handle = await platform.start('buyer', 'orderBlind:unknown');
    const effectKey = await until('unknown effect', async () => (await stateOf(handle)).unknownEffect);
    const { token } = await begunOf('unknown');
    assert.deepEqual(await connect().completeTool(token, { output: { priceUsd: 8 } }), { result: 'applied' });
    assert.equal((await rowOf(token)).state, 'beginning');
    const ref = 'AAAAAAAAAAAAAAAAAAAAAA';
    const word = { state: 'succeeded', ref, principal: 'bea', reason: 'looked it up' } as const;
    await platform.stores.effects.resolve(platform.tenant, effectKey, word);
    await update(handle, 'retry', {});
    assert.equal(await answerOf(handle), '[{"priceUsd":8}]');
    assert.equal(begun.get('unknown')?.length, 1);
  });

  it('outlasts thousands of messages, and lets the run continue as new only after its turn', async () => {
    const handle = await waiting('requestQuote:crowd', { kind: 'conversation' });
    const { token } = await begunOf('crowd');
    // From here on the server asks for a new execution at every task.
    for (let wave = 0; (await handle.describe()).historyLength <= 4_096; wave += 1) {
      await Promise.all(Array.from({ length: 20 }, async () => signal(handle, 'retry', {})));
      await signal(handle, 'steer', { text: `Wave ${wave}.` });
      await until('heard', async () => (await stateOf(handle)).waitingMessages === 0);
    }
    await connect().completeTool(token, { output: { priceUsd: 1 } });
    await until('answer', async () => (await stateOf(handle)).answer?.preview === '[{"priceUsd":1}]', {
      timeoutMs: 60_000,
    });
    await until('the next execution', async () => (await readExecutions(platform, handle)).length > 1);
    const [first = [], next = []] = await readExecutions(platform, handle);
    assert.ok(first.length > 4_096, `${first.length} events`);
    assert.ok(activitiesOf(first).some(({ type }) => type === 'settleDeferred'));
    assert.ok(!activitiesOf(next).some(({ type }) => type === 'settleDeferred' || type === 'requestQuote@1'));
    assert.deepEqual((await stateOf(handle)).rejectedMessages, []);
    await update(handle, 'requestStop', { reason: 'enough' });
  });
});

/** `tool:id` */
function toCall(call: string): { readonly tool: string; readonly input: JsonValue } {
  const [tool = '', id = ''] = call.split(':');
  return { tool, input: { id } };
}
