// Goal: a run that has what it was for, or can learn nothing more, or has no time left, ends with an answer and says why.
// Method: scripted models that would go on calling tools, on workers in this process, against the real servers.
import assert from 'node:assert/strict';
import { type Script, scripted, type ScriptedModel } from '../../src/activities/model/scripted-model.ts';
import { closingWords } from '../../src/domain/run/early-exit.ts';
import type { MessagePart } from '../../src/domain/model/message-part.ts';
import { costOf } from '../../src/domain/model/price.ts';
import { simulatedPrice } from '../../src/domain/model/price-table.ts';
import { NO_USAGE } from '../../src/domain/model/usage.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { freePort } from '../../src/cli/dev-stack/free-port.ts';
import { buildRelease } from '../../src/activities/release/agent-release.ts';
import type { Agent } from '../../src/authoring/index.ts';
import type { Release } from '../../src/domain/release/release.ts';
import type { ExitSpec } from '../../src/domain/run/exit-policy.ts';
import type { Outcome } from '../../src/domain/run/run-end.ts';
import { admitRelease } from '../activities/stores/support.ts';
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

/** What each turn of the spender uses, and three times what that costs, in USD. */
const SPENT = { ...NO_USAGE, inputTokens: 1_000, outputTokens: 500 };
const THREE_TURNS_USD = (3 * Number(costOf(simulatedPrice(), SPENT))) / 1e12;

const look = (id: string) => ({ toolCalls: [{ tool: 'lookup', input: { id } }] });

describe('an early exit', () => {
  let platform: Platform;
  let address: string;
  let agents: readonly Agent[];
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
    // The sixth poll tells what the others waited for.
    poller: scripted(
      until(({ call }) =>
        call <= 8 ? { toolCalls: [{ tool: 'progress', input: { id: 'job' } }] } : { text: 'It is done.' },
      ),
    ),
    repeater: scripted(until(() => look('same'))),
    spender: scripted(until(({ call }) => ({ ...look(`k${call}`), usage: SPENT }))),
    slow: scripted(until(({ call }) => ({ ...look(`k${call}`), delayMs: 1_500 }))),
  };

  before(async () => {
    const tools = [lookupTool('lookup'), lookupTool('progress', () => 'pending'), payTool(destination)];
    const goals = [{ tool: 'pay', outcome: 'ok' }] as const;
    const exits: Record<string, ExitSpec> = {
      poller: { polls: ['progress'] },
      spender: { valueUsd: THREE_TURNS_USD },
    };
    agents = Object.keys(scripts).map((name) =>
      testAgent(name, { tools, exit: exits[name] ?? goals, limits: { turns: 30 } }),
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

  it('lets a model wait with the same call, where the agent says that it waits', async () => {
    const handle = await platform.start('poller', 'Wait.');
    const end = await handle.result();
    assert.deepEqual(
      [end.outcome, end.exit, end.turns, end.answer?.preview],
      [{ kind: 'completed' }, undefined, 9, 'It is done.'],
    );
  });

  it('gives an answer in place of the same call once more', async () => {
    const handle = await platform.start('repeater', 'Look.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.exit, end.turns], [{ kind: 'completed' }, { reason: 'repeated-calls' }, 6]);
    assert.equal(end.answer?.preview, `Closed: ${closingWords('repeated-calls')}`);
  });

  it('comes where earlier runs show that another turn is not worth what it costs', async () => {
    const agent = agents.find(({ name }) => name === 'spender') ?? assert.fail();
    // None of thirty that went on after two turns has succeeded; before that half of them had.
    const release = buildRelease(agent, (id) => id);
    for (let runs = 0; runs < 30; runs += 1) {
      await endEarlier(release, 2, { kind: 'completed' });
      await endEarlier(release, 6, { kind: 'budget-exhausted', dimension: 'usd' });
    }
    const handle = await platform.start('spender', 'Look on.');
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.exit, end.turns], [{ kind: 'completed' }, { reason: 'expected-value' }, 3]);
    assert.equal(end.answer?.preview, `Closed: ${closingWords('expected-value')}`);
  });

  /** Writes an earlier run of a release, as it ended. */
  const endEarlier = async (release: Release, turns: number, outcome: Outcome): Promise<void> => {
    const { stores, tenant } = platform;
    const id = await admitRelease(stores, tenant, release, { limits: release.limits });
    const end = { outcome, answer: null, release: null, turns, toolCalls: 0, tokens: 0, costPico: '0' };
    await stores.runs.recordEnd(tenant, id, null, end, 'ann');
  };

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
