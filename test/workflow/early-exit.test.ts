// Goal: a run that has what it was for, or can learn nothing more, or has no time left, ends with an answer and says why.
// Method: scripted models that would go on calling tools, on workers in this process, against the real servers.
import assert from 'node:assert/strict';
import { type Script, scripted, type ScriptedModel } from '../../src/activities/model/scripted-model.ts';
import { closingWords } from '../../src/domain/run/early-exit.ts';
import type { MessagePart } from '../../src/domain/model/message-part.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { freePort } from '../../src/cli/dev-stack/free-port.ts';
import { scrape } from '../support/observe/scrape.ts';
import { activitiesOf, readHistory } from '../support/workflow/history.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { type Destination, lookupTool, payTool, testAgent } from '../support/workflow/test-agent.ts';

/** Goes on with what a function gives until it is told to close, and then answers. */
const until =
  (goOn: Script): Script =>
  (view) => {
    const told = view.parts.at(-1);
    return told?.kind === 'guidance' && told.isClosing === true ? { text: `Closed: ${told.text}` } : goOn(view);
  };

const look = (id: string) => ({ toolCalls: [{ tool: 'lookup', input: { id } }] });

describe('an early exit', () => {
  let platform: Platform;
  let address: string;
  const destination: Destination = { arrived: [] };
  const scripts: Record<string, ScriptedModel> = {
    payer: scripted(
      until(({ call }) => (call === 1 ? look('a') : { toolCalls: [{ tool: 'pay', input: { amount: call } }] })),
    ),
    // Both calls of a closing reply that has words are left out; one without words is told so.
    stubborn: scripted(({ call }) => ({
      ...(call === 3 ? { text: 'Paid, and I look on.' } : {}),
      toolCalls: [{ tool: 'pay', input: { amount: call } }],
    })),
    circler: scripted(until(({ call }) => look(call % 2 === 0 ? 'a' : 'b'))),
    slow: scripted(until(({ call }) => ({ ...look(`k${call}`), delayMs: 1_500 }))),
  };

  before(async () => {
    const tools = [lookupTool('lookup'), payTool(destination)];
    const agents = Object.keys(scripts).map((name) =>
      testAgent(name, { tools, exit: [{ tool: 'pay', outcome: 'ok' }], limits: { turns: 30 } }),
    );
    address = `127.0.0.1:${await freePort(0)}`;
    platform = await startPlatform({ agents, scripts, env: { PERDURE_METRICS_ADDRESS: address } });
  });
  after(async () => platform.close());
  beforeEach(() => {
    destination.arrived.length = 0;
  });

  it('follows a result that makes the goal true, with one more answer', async () => {
    const handle = await platform.start('payer', 'Pay.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.exit, end.turns], [{ kind: 'completed' }, { reason: 'goal' }, 3]);
    assert.equal(end.answer?.preview, `Closed: ${closingWords('goal')}`);
    assert.equal(destination.arrived.length, 1);
    const record = await createRunReader(platform.stores).run(platform.tenant, handle.workflowId);
    assert.deepEqual(record?.end, end);
    const summaries = activitiesOf(await readHistory(platform, handle)).flatMap(({ type, summary }) =>
      type === 'callModel' ? [summary] : [],
    );
    assert.deepEqual(summaries, [
      'turn 1 · standard',
      'turn 2 · standard · 1 tool result',
      'turn 3 · standard · 1 tool result · closing: goal',
    ]);
  });

  it('makes no call of a model that goes on calling, and takes its words', async () => {
    const handle = await platform.start('stubborn', 'Pay.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.exit, end.turns], [{ kind: 'completed' }, { reason: 'goal' }, 3]);
    assert.equal(end.answer?.preview, 'Paid, and I look on.');
    assert.equal(destination.arrived.length, 1);
    const told = scripts['stubborn']?.views.at(-1)?.parts.findLast(({ kind }) => kind === 'tool-result');
    assert.ok(
      told?.kind === 'tool-result' && /this call was not made/.test(JSON.stringify(told.output)),
      JSON.stringify(told),
    );
  });

  it('ends a circle of calls that tell nothing new, after the model was told', async () => {
    const handle = await platform.start('circler', 'Look.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.exit], [{ kind: 'completed' }, { reason: 'no-new-information' }]);
    const said = (scripts['circler']?.views.at(-1)?.parts ?? []).filter(
      (part): part is MessagePart & { kind: 'guidance' } => part.kind === 'guidance',
    );
    assert.deepEqual(
      said.map(({ isClosing, text }) => [isClosing === true, text.split(' ').slice(0, 4).join(' ')]),
      [
        [false, 'The results of your'],
        [true, 'Your last calls told'],
      ],
    );
  });

  it('answers before the deadline would expire the run in the middle', async function () {
    this.timeout(60_000);
    const handle = await platform.start('slow', 'Look on.', { deadlineAt: Date.now() + 10_000 });
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.exit], [{ kind: 'completed' }, { reason: 'deadline' }]);
    assert.equal(end.answer?.preview, `Closed: ${closingWords('deadline')}`);
  });

  it('is no part of what a run goes on from that takes it up at its last turn', async () => {
    const ended = await platform.start('payer', 'Pay again.');
    const { turns } = await ended.result();
    const views = scripts['payer']?.views.length ?? 0;
    const successor = await platform.start('payer', '', {
      retryOf: { runId: ended.workflowId, fromTurn: turns },
      limits: { turns: 2 },
      whenExhausted: 'end',
    });
    await successor.result();
    const view = scripts['payer']?.views[views];
    assert.ok(view !== undefined && view.parts.length > 0);
    assert.deepEqual(
      view.parts.filter((part) => part.kind === 'guidance'),
      [],
    );
  });

  it('is counted by its reason', async () => {
    const { sum } = await scrape(`http://${address}`);
    const counted = (agent: string, reason: string) => sum('perdure_early_exits_total', { agent, reason });
    assert.ok(counted('payer', 'goal') >= 1);
    assert.deepEqual([counted('circler', 'no-new-information'), counted('slow', 'deadline')], [1, 1]);
  });
});
