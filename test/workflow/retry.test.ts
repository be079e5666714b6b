// Goal: a run that ended is taken up by another one, on another build, and nothing that was done is done again.
// Method: a provider and a destination of our own that count; runs that fail, are stopped or are forgotten by Temporal, and the command line.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { defineTool } from '../../src/authoring/index.ts';
import type { ProviderRequest } from '../support/provider-server.ts';
import type { RunHandle } from '../support/workflow/platform.ts';
import { stateOf, untilAsked, untilPhase, update } from '../support/workflow/talk.ts';
import { LARGE, openTakingUp, type TakingUp, turnOf } from '../support/workflow/taking-up.ts';
import { until } from '../support/workflow/until.ts';

const read = (name: string) => ({ tool: 'lookUp', input: { case: name, ms: 0 } });
const pay = (name: string, amount = 42) => ({ tool: 'payKeyed', input: { case: name, amount } });

const question = (text: string) => ({ tool: 'askPerson', input: { question: text } });
const idOf = (handle: RunHandle): string => handle.workflowId;
const answered = async (handle: RunHandle, preview: string) =>
  until(preview, async () => (await stateOf(handle)).answer?.preview === preview);

/** Messages of a request; the arguments of calls as values, because a transcript does not keep the order of their members. */
const valuesOf = ({ messages }: ProviderRequest): ProviderRequest['messages'] =>
  JSON.parse(JSON.stringify(messages), (key, value: unknown) =>
    key === 'arguments' && typeof value === 'string' ? JSON.parse(value) : value,
  ) as ProviderRequest['messages'];

describe('taking up a run that ended', function () {
  this.timeout(180_000);
  let lab: TakingUp;
  let forgotten: { readonly id: string; readonly done: Promise<void> } | null = null;
  before(async () => {
    lab = await openTakingUp();
  });
  after(async () => lab?.close());
  afterEach(async () => lab.mend());

  /** Requests for a turn of the plan of a case, as the provider saw them. */
  const requests = (name: string, turn?: number) =>
    lab.provider.ledger.filter(
      ({ body }) => JSON.stringify(body.messages).includes(name) && (turn === undefined || turnOf(body) === turn),
    );
  const reads = (name: string): number => lab.destination.reads.filter((each) => each === name).length;
  const messages = (name: string, turn: number) => requests(name, turn).at(-1)?.body.messages ?? [];

  it('reads the input that a guardrail held back, as Temporal has it', async () => {
    await lab.deploy({ guardrails: [{ name: 'no-plans', pattern: 'guarded', verdict: 'block' }] });
    const refused = await lab.startPlan({ turns: [[read('guarded')]] });
    assert.equal((await refused.result()).outcome.kind, 'refused');
    await lab.deploy({});
    const successor = await lab.retry(idOf(refused));
    assert.equal((await successor.result()).answer?.preview, 'done after 1 results');
    // The server takes half a minute to delete it: the last test looks at what is left.
    forgotten = { id: idOf(refused), done: lab.forget(idOf(refused)) };
    forgotten.done.catch(() => undefined);
  });

  it('goes on where it failed, on a changed build, and makes no call of the turns before', async () => {
    const name = 'seven-turns';
    lab.destination.expect(name, 'keyed');
    lab.failTurn(7);
    const turns = [[read(name)], [read(name)], [pay(name)], [read(name)], [read(name)], [read(name)]];
    const failed = await lab.startPlan({ turns });
    const { outcome, turns: made } = await failed.result();
    assert.deepEqual([outcome.kind, made], ['failed', 6]);
    assert.deepEqual([requests(name).length, reads(name), lab.destination.of(name).arrivals], [7, 5, 1]);
    lab.mend();
    await lab.deploy({ instructions: 'Answer in one word.', limits: { turns: 9 } });
    await lab.forget(idOf(failed));
    const successor = await lab.retry(idOf(failed), '--key', 'once');
    const end = await successor.result();
    assert.deepEqual(
      [end.outcome.kind, end.answer?.preview, end.turns, end.toolCalls],
      ['completed', 'done after 6 results', 7, 0],
    );
    assert.deepEqual([requests(name).length, reads(name)], [8, 5]);
    assert.deepEqual(lab.destination.of(name), { applied: 1, arrivals: 1 });
    for (let turn = 1; turn <= 6; turn += 1) assert.equal(requests(name, turn).length, 1, `turn ${turn}`);
    const [failing, anew] = requests(name, 7).map(({ body }) => valuesOf(body));
    assert.equal(anew?.[0]?.content, 'Answer in one word.');
    assert.deepEqual(anew?.slice(1), failing?.slice(1), 'the transcript is the one that failed');
    const shown = await lab.perdure('run', 'show', idOf(failed));
    assert.match(shown.out, new RegExp(`failed \\(validation\\)[^]*retried as ${idOf(successor)}`));
    const after = await lab.perdure('run', 'show', idOf(successor), '--transcript', '--audit');
    assert.match(after.out, new RegExp(`completed[^]*retry of ${idOf(failed)} from turn 7`));
    assert.match(after.out, /Answer\n {2}done after 6 results/);
    assert.match(after.out, new RegExp(`run.start .*${idOf(failed)}`));
    const again = await lab.retry(idOf(failed), '--key', 'once');
    assert.equal(idOf(again), idOf(successor));
    assert.deepEqual(await again.result(), end);
    assert.equal(requests(name).length, 8);
    await lab.deploy({});
  });

  it('takes the results of a turn that are there, and asks a person again', async () => {
    const name = 'partly';
    lab.destination.expect(name, 'keyed');
    const stopped = await lab.startPlan({ turns: [[read(name), pay(name), pay(name, LARGE), read('partly-later')]] });
    const asked = await untilAsked(lab.platform, stopped, 'approval');
    await update(stopped, 'requestStop', { reason: 'lunch' });
    assert.equal((await stopped.result()).outcome.kind, 'cancelled');
    const successor = await lab.retry(idOf(stopped));
    const pending = await untilAsked(lab.platform, successor, 'approval');
    assert.notEqual(pending.approvalId, asked.approvalId);
    assert.equal(pending.argsHash, asked.argsHash);
    await update(successor, 'decideApproval', { ...pending, decision: { kind: 'approve' } });
    assert.equal((await successor.result()).answer?.preview, 'done after 4 results');
    assert.deepEqual(
      [requests(name, 1).length, requests(name, 2).length, reads(name), reads('partly-later')],
      [1, 1, 1, 1],
    );
    assert.deepEqual(
      lab.destination.arrivals.filter((arrival) => arrival.case === name).map(({ args }) => args),
      [
        { case: name, amount: 42 },
        { case: name, amount: LARGE },
      ],
    );
    assert.deepEqual(
      messages(name, 2).flatMap((message) => (message.role === 'tool' ? [message['tool_call_id']] : [])),
      ['t1c0', 't1c1', 't1c2', 't1c3'],
    );
  });

  it('keeps what a person decided, and does not send what was approved and sent', async () => {
    const name = 'decided';
    lab.destination.expect(name, 'keyed');
    lab.failTurn(2);
    const failed = await lab.startPlan({ turns: [[pay(name, LARGE), pay('decided-not', LARGE)]] });
    const first = await untilAsked(lab.platform, failed, 'approval');
    const edited = { case: name, amount: 7 };
    await update(failed, 'decideApproval', { ...first, decision: { kind: 'edit', arguments: edited } });
    const second = await until('the second approval', async () => {
      const pending = await untilAsked(lab.platform, failed, 'approval');
      return pending.approvalId === first.approvalId ? null : pending;
    });
    await update(failed, 'decideApproval', { ...second, decision: { kind: 'reject', reason: 'Never.' } });
    assert.equal((await failed.result()).outcome.kind, 'failed');
    lab.mend();
    const successor = await lab.retry(idOf(failed));
    assert.equal((await successor.result()).outcome.kind, 'completed');
    assert.deepEqual(
      lab.destination.arrivals.flatMap(({ case: of, args }) => (of.startsWith(name) ? [args] : [])),
      [edited],
    );
    assert.match(JSON.stringify(messages(name, 2)), /rejected the call\. Reason: Never\./);
    assert.equal(requests(name, 1).length, 1);
  });

  for (const [policy, spec] of [
    ['the same policy', {}],
    ['another policy', { instructions: 'Be kind.' }],
  ] as const) {
    it(`leaves an unknown effect unknown, and asks nothing but that in the successor: ${policy}`, async () => {
      const name = `unknown-under-${policy.replaceAll(' ', '-')}`;
      lab.destination.expect(name, 'blind', { kind: 'reset-after' });
      const stopped = await lab.startPlan({ turns: [[{ tool: 'payBlind', input: { case: name, amount: LARGE } }]] });
      const pending = await untilAsked(lab.platform, stopped, 'approval');
      await update(stopped, 'decideApproval', { ...pending, decision: { kind: 'approve' } });
      const key = await until('the unknown effect', async () => (await stateOf(stopped)).unknownEffect);
      await update(stopped, 'requestStop', { reason: 'tomorrow' });
      await stopped.result();
      await lab.deploy(spec);
      const successor = await lab.retry(idOf(stopped));
      assert.equal(await until('the same question', async () => (await stateOf(successor)).unknownEffect), key);
      const show = async () => (await lab.perdure('run', 'show', idOf(successor))).out;
      await until('the row says so', async () => /Nobody knows whether payBlind@1/.test(await show()));
      const resolved = await lab.perdure('effect', 'resolve', key, '--as', 'succeeded', '--reason', 'It is there.');
      assert.match(resolved.said, new RegExp(`run ${idOf(successor)} goes on`));
      assert.equal((await successor.result()).outcome.kind, 'completed');
      assert.match(JSON.stringify(messages(name, 2)), /A person looked at what became of this call: it succeeded/);
      assert.deepEqual(lab.destination.of(name), { applied: 1, arrivals: 1 });
      await lab.deploy({});
    });
  }

  it('keeps an answer that a person gave, and asks only the question that is open', async () => {
    await lab.deploy({ asksPerson: { deadlineMs: 60_000 } });
    const stopped = await lab.startPlan({ turns: [[question('asked-red?'), read('asked'), question('asked-large?')]] });
    await untilAsked(lab.platform, stopped, 'question');
    await update(stopped, 'provideInput', { text: 'Red.' });
    await until('the second question', async () => {
      const pending = await untilAsked(lab.platform, stopped, 'question');
      return pending.question === 'asked-large?';
    });
    await update(stopped, 'requestStop', { reason: 'lunch' });
    await stopped.result();
    const successor = await lab.retry(idOf(stopped));
    assert.equal((await untilAsked(lab.platform, successor, 'question')).question, 'asked-large?');
    await update(successor, 'provideInput', { text: 'Small.' });
    assert.equal((await successor.result()).outcome.kind, 'completed');
    assert.deepEqual(
      messages('asked-red?', 2).flatMap(({ role, content }) => (role === 'tool' ? [content] : [])),
      ['Red.', '{"read":"read asked"}', 'Small.'],
    );
    assert.equal(reads('asked'), 1);
    await lab.deploy({});
  });

  it('is admitted once, whatever happens to the worker that admits it', async () => {
    const name = 'admitted-once';
    lab.failTurn(2);
    const failed = await lab.startPlan({ turns: [[read(name)]] });
    await failed.result();
    lab.mend();
    await lab.deploy({}, 'run:admitted=error');
    const successor = await lab.retry(idOf(failed));
    assert.equal((await successor.result()).answer?.preview, 'done after 1 results');
    const { events } = await successor.fetchHistory();
    const attempts = (events ?? []).map(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? 0);
    assert.equal(Math.max(...attempts), 2);
    assert.deepEqual([requests(name, 1).length, requests(name, 2).length, reads(name)], [1, 2, 1]);
    await lab.deploy({});
  });

  it('asks the model anew from a turn with what that turn had, and meets the writes of before', async () => {
    const name = 'anew';
    lab.destination.expect(name, 'keyed');
    const turns = [[read(name)], [pay(name), read(name)], [read(name)]];
    const ended = await lab.startPlan({ turns });
    assert.equal((await ended.result()).outcome.kind, 'completed');
    const said = await lab.perdure('run', 'retry', idOf(ended), '--from-turn', '2', '--follow');
    assert.equal(said.exitCode, 0, said.said);
    assert.match(said.said, /these writes were made and stay: payKeyed@1 \(turn 2\)/);
    assert.equal(said.out, 'done after 4 results');
    assert.deepEqual(
      [1, 2, 3, 4].map((turn) => requests(name, turn).length),
      [1, 2, 2, 2],
    );
    const [before, anew] = requests(name, 2).map(({ body }) => valuesOf(body));
    assert.deepEqual(anew, before);
    assert.deepEqual(lab.destination.of(name), { applied: 1, arrivals: 1 });
    assert.equal(reads(name), 5);
  });

  it('takes up a run that failed at its first turn, with its input heard once', async () => {
    const name = 'first-turn';
    lab.failTurn(1);
    const failed = await lab.startPlan({ turns: [[read(name)]] });
    assert.deepEqual([(await failed.result()).turns], [0]);
    lab.mend();
    const successor = await lab.retry(idOf(failed));
    assert.equal((await successor.result()).answer?.preview, 'done after 1 results');
    assert.equal(messages(name, 1).filter(({ role }) => role === 'user').length, 1);
    assert.equal(requests(name, 1).length, 2);
  });

  it('answers an open call of a tool that is gone or has changed', async () => {
    const name = 'drifted';
    const stopped = await lab.startPlan({
      turns: [[pay(name, LARGE), read(name), { tool: 'payBlind', input: { case: name, amount: 1 } }]],
    });
    await untilAsked(lab.platform, stopped, 'approval');
    await update(stopped, 'requestStop', { reason: 'a deploy' });
    await stopped.result();
    const changed = defineTool({
      name: 'lookUp',
      version: '2.0.0',
      description: 'Reads.',
      input: z.object({ case: z.string(), ms: z.number() }),
      output: z.object({ read: z.string() }),
      effect: 'read',
      owner: 'tests',
      run: async () => assert.fail('it must not be called'),
    });
    await lab.deploy({ tools: [changed], approvals: [] });
    const successor = await lab.retry(idOf(stopped));
    assert.equal((await successor.result()).outcome.kind, 'completed');
    const results = messages(name, 2).flatMap(({ role, content }) => (role === 'tool' ? [content] : []));
    assert.deepEqual(results, [
      'There is no tool payKeyed. The tools are: lookUp.',
      'The tool lookUp has changed since it was asked for: version 1.0.0 was pinned, 2.0.0 is served. It was not called.',
      'There is no tool payBlind. The tools are: lookUp.',
    ]);
    assert.equal(lab.destination.of(name).arrivals, 0);
    await lab.deploy({});
  });

  it('refuses to lose sight of a write that nobody knows of', async () => {
    const name = 'tool-away';
    lab.destination.expect(name, 'blind', { kind: 'reset-after' });
    const stopped = await lab.startPlan({ turns: [[{ tool: 'payBlind', input: { case: name, amount: 1 } }]] });
    const key = await until('the unknown effect', async () => (await stateOf(stopped)).unknownEffect);
    await update(stopped, 'requestStop', { reason: 'tomorrow' });
    await stopped.result();
    await lab.deploy({ tools: [], approvals: [] });
    const { outcome } = await (await lab.retry(idOf(stopped))).result();
    assert.equal(outcome.kind, 'refused');
    assert.match(
      JSON.stringify(outcome),
      new RegExp(`nobody knows yet whether it happened.*perdure effect resolve ${key}`),
    );
    await lab.perdure('effect', 'resolve', key, '--as', 'succeeded', '--reason', 'It is there.');
    assert.equal((await (await lab.retry(idOf(stopped))).result()).outcome.kind, 'completed');
    assert.match(JSON.stringify(messages(name, 2)), /A person looked at what became of this call: it succeeded/);
    assert.deepEqual(lab.destination.of(name), { applied: 1, arrivals: 1 });
    await lab.deploy({});
  });

  it('takes up a conversation, and a run that took up another one', async () => {
    lab.provider.always(({ messages: heard }) => ({
      kind: 'reply',
      text: `heard ${heard.filter(({ role }) => role === 'user').length}`,
    }));
    const first = await lab.platform.start('player', 'One.', { kind: 'conversation' });
    await answered(first, 'heard 1');
    await update(first, 'provideInput', { text: 'Two.' });
    await answered(first, 'heard 2');
    await update(first, 'requestStop', { reason: 'bye' });
    await first.result();
    const count = lab.provider.ledger.length;
    const second = await lab.retry(idOf(first));
    const waiting = await untilPhase(second, 'waiting');
    assert.deepEqual([waiting.answer?.preview, waiting.turn], ['heard 2', 2]);
    assert.equal(lab.provider.ledger.length, count);
    await update(second, 'provideInput', { text: 'Three.' });
    await answered(second, 'heard 3');
    await update(second, 'requestStop', { reason: 'bye' });
    await second.result();
    const third = await lab.retry(idOf(second));
    await untilPhase(third, 'waiting');
    await update(third, 'provideInput', { text: 'Four.' });
    await answered(third, 'heard 4');
    await update(third, 'requestStop', { reason: 'bye' });
    await third.result();
    // Turn 2 is the first run's own.
    const fourth = await lab.retry(idOf(third), '--from-turn', '2');
    await answered(fourth, 'heard 2');
    assert.deepEqual(
      lab.provider.ledger.at(-1)?.body.messages.map(({ role }) => role),
      ['system', 'user', 'assistant', 'user'],
    );
    // Turn 4 is the third one's, the first that it made itself.
    const fifth = await lab.retry(idOf(third), '--from-turn', '4');
    await answered(fifth, 'heard 4');
    const roots = await lab.platform.db
      .selectFrom('runs')
      .select('root')
      .where('id', 'in', [first, second, third, fourth, fifth].map(idOf))
      .execute();
    assert.deepEqual(
      roots.map(({ root }) => root),
      Array.from({ length: 5 }, () => idOf(first)),
    );
    for (const handle of [fourth, fifth]) {
      await update(handle, 'requestStop', { reason: 'bye' });
      await handle.result();
    }
  });

  it('says so when nobody has the input of a run any more that never read it', async () => {
    await forgotten?.done;
    const { outcome } = await (await lab.retry(forgotten?.id ?? '')).result();
    assert.match(JSON.stringify(outcome), /refused.*ended before its input was read/);
  });
});
