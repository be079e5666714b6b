// Goal: a run's turns are what its model and tools made of them: in history, in the rows and in what the Web UI shows.
// Method: scripted models and tools of our own on workers in this process, against the real servers.
import assert from 'node:assert/strict';
import { scripted, type ScriptedModel } from '../../src/activities/model/scripted-model.ts';
import { ToolRefusal } from '../../src/authoring/index.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import type { MessagePart } from '../../src/domain/model/message-part.ts';
import { LIMITS } from '../../src/domain/run/limits.ts';
import { activitiesOf, readHistory, timersOf } from '../support/workflow/history.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { untilAsked, update } from '../support/workflow/talk.ts';
import { type Destination, lookupTool, payTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const call = (tool: string, input: JsonValue) => ({ tool, input });
const ask = (...toolCalls: { readonly tool: string; readonly input: JsonValue }[]) => ({ toolCalls });
const shown = (output: JsonValue | undefined) => (typeof output === 'string' ? output : JSON.stringify(output));
const LARGE_NOTE = 'n'.repeat(2 * LIMITS.inlineArgumentBytesMax);

describe('a turn', () => {
  let platform: Platform;
  const destination: Destination = { arrived: [] };
  let brokenCalls = 0;
  const tools = [
    lookupTool('lookup'),
    lookupTool('refuse', (key) => {
      throw new ToolRefusal(`${key} is nobody's business`);
    }),
    lookupTool('broken', () => {
      brokenCalls += 1;
      throw new Error('the disk is full');
    }),
    lookupTool('flood', () => 'f'.repeat(2 * LIMITS.toolOutputBytesMax)),
    payTool(destination),
  ];
  const scripts: Record<string, ScriptedModel> = {
    plain: scripted([{ text: 'Hello.' }]),
    groups: scripted([
      ask(
        call('lookup', { id: 'a' }),
        call('lookup', { id: 'b' }),
        call('pay', { amount: 1 }),
        call('pay', { amount: 2 }),
      ),
      { text: 'Done.' },
    ]),
    rows: scripted([
      ask(call('lookup', { id: 'a' }), call('lookup', { id: 'b' }), call('pay', { amount: 1 })),
      { text: 'Done.' },
    ]),
    errors: scripted([ask(call('refuse', { id: 'a' }), call('broken', { id: 'b' })), { text: 'I see.' }]),
    inventor: scripted([
      ask(call('teleport', { to: 'mars' }), call('lookup', { wrong: 1 }), call('lookup', '{"id": ')),
      { text: 'I see.' },
    ]),
    large: scripted([ask(call('pay', { amount: 3, note: LARGE_NOTE })), { text: 'Done.' }]),
    flood: scripted([ask(call('flood', { id: 'a' })), { text: 'Much.' }]),
    visible: scripted([ask(call('lookup', { id: 'A-1012' })), ask(call('pay', { amount: 700 })), { text: 'Paid.' }]),
    crowd: scripted([ask(...Array.from({ length: 40 }, (_, n) => call('lookup', { id: `k${n}` }))), { text: 'Many.' }]),
    repeater: scripted(() => ask(call('lookup', { id: 'same' }))),
  };

  before(async () => {
    const approvals = [{ name: 'above-500', tool: 'pay', when: { path: 'amount', above: 500 } }];
    const agents = Object.keys(scripts).map((name) => testAgent(name, { tools, approvals }));
    platform = await startPlatform({ agents, scripts });
  });
  after(async () => platform.close());
  afterEach(() => {
    destination.arrived.length = 0;
  });

  /** Results as the model saw them in its last call. */
  const results = (name: string) =>
    (scripts[name]?.views.at(-1)?.parts ?? []).filter(
      (part): part is MessagePart & { kind: 'tool-result' } => part.kind === 'tool-result',
    );
  const run = async (name: string) => {
    const handle = await platform.start(name, 'Go.');
    const end = await handle.result();
    scripts[name]?.assertUsed();
    return { handle, end, activities: activitiesOf(await readHistory(platform, handle)) };
  };

  it('goes from the input to the answer', async () => {
    const { end, activities } = await run('plain');
    assert.deepEqual(end.outcome, { kind: 'completed' });
    assert.equal(end.answer?.preview, 'Hello.');
    assert.equal(end.turns, 1);
    assert.ok(BigInt(end.costPico) > 0n && end.tokens > 0);
    assert.deepEqual(
      activities.map(({ type }) => type),
      ['admit', 'perceive', 'callModel', 'recordEnd'],
    );
    assert.deepEqual(scripts['plain']?.views[0]?.parts, [{ kind: 'user-text', text: 'Go.' }]);
  });

  it('makes its reads at once and its writes one after the other, in the order asked', async () => {
    const { end, activities } = await run('groups');
    const reads = activities.filter(({ type }) => type === 'lookup@1');
    const writes = activities.filter(({ type }) => type === 'pay@1');
    assert.equal(reads.length + writes.length, 4);
    const [firstReadClosed, lastReadClosed] = [Math.min, Math.max].map((pick) =>
      pick(...reads.map((read) => read.closedAt ?? Number.NaN)),
    );
    assert.ok(reads.every((read) => read.scheduledAt < Number(firstReadClosed)));
    assert.ok(writes.every((write) => write.scheduledAt > Number(lastReadClosed)));
    assert.ok(Number(writes[1]?.scheduledAt) > Number(writes[0]?.closedAt));
    assert.deepEqual(
      destination.arrived.map(({ amount }) => amount),
      [1, 2],
    );
    assert.equal(end.toolCalls, 4);
    assert.deepEqual(
      results('groups').map(({ toolCallId }) => toolCallId),
      ['t1c0', 't1c1', 't1c2', 't1c3'],
    );
  });

  it('shows the model what a tool refused, and what failed after every attempt', async () => {
    const { end } = await run('errors');
    assert.equal(end.outcome.kind, 'completed');
    const [refusal, failure] = results('errors');
    assert.deepEqual([refusal?.isError, refusal?.output], [true, "a is nobody's business"]);
    assert.deepEqual([failure?.isError, failure?.output], [true, 'broken failed after 3 attempts: the disk is full']);
    assert.equal(brokenCalls, 3);
  });

  it('tells the model of a tool that it invented and of arguments that are not valid, without an activity', async () => {
    const { activities } = await run('inventor');
    const [invented, invalid, torn] = results('inventor').map(({ isError, output }) => ({ isError, output }));
    assert.equal(invented?.output, 'There is no tool teleport. The tools are: lookup, refuse, broken, flood, pay.');
    assert.match(shown(invalid?.output), /The arguments of lookup are not valid\.[\s\S]*id/);
    assert.match(shown(torn?.output), /The arguments of lookup are not valid\./);
    assert.ok([invented, invalid, torn].every((result) => result?.isError));
    assert.ok(activities.every(({ type }) => !type.includes('@')));
  });

  it('carries large arguments by reference', async () => {
    const { handle, activities } = await run('large');
    const pay = activities.find(({ type }) => type === 'pay@1');
    const input = pay?.input as Record<string, unknown>;
    assert.ok(typeof input['argsRef'] === 'string' && !('args' in input));
    assert.ok(!JSON.stringify(await handle.fetchHistory()).includes(LARGE_NOTE.slice(0, 300)));
    assert.deepEqual(
      destination.arrived.map(({ amount }) => amount),
      [3],
    );
  });

  it('bounds what a tool returns, and says so', async () => {
    await run('flood');
    const [result] = results('flood');
    const output = shown(result?.output);
    assert.ok(output.length < LIMITS.toolOutputBytesMax + 200);
    assert.match(output.slice(-160), /cut: the tool returned 524288 bytes, the first 262144 are shown; ask for less/);
  });

  it('makes at most 32 calls of one reply', async () => {
    const { end } = await run('crowd');
    assert.equal(end.toolCalls, LIMITS.callsPerTurnMax);
    assert.equal(results('crowd').length, 40);
    assert.match(shown(results('crowd').at(-1)?.output), /Only 32 calls are made at once/);
  });

  it('ends when the model repeats itself in spite of being told', async () => {
    const { end } = await run('repeater');
    assert.deepEqual(end.outcome, {
      kind: 'failed',
      cause: 'model-error',
      message: 'the run was to close (repeated-calls), and the model gave no answer in 2 calls',
    });
    assert.ok(scripts['repeater']?.views.at(-1)?.parts.some((part) => part.kind === 'guidance'));
  });

  it('is readable in the Web UI and in lists', async () => {
    const { client } = platform;
    const handle = await platform.start('visible', 'Refund order A-1012.');
    const pending = await untilAsked(platform, handle, 'approval');
    const waiting = await until('phase in visibility', async () => {
      const described = await handle.describe();
      return described.searchAttributes['PerdurePhase']?.[0] === 'waiting' ? described : null;
    });
    assert.equal(await waiting.staticSummary(), 'visible: Refund order A-1012.');
    // A decision that comes before the question is written down needs no timer.
    await until('the timer', async () => timersOf(await readHistory(platform, handle)).length === 2);
    await update(handle, 'decideApproval', { ...pending, decision: { kind: 'approve' } });
    const end = await handle.result();
    const ended = await handle.describe();
    assert.equal(await ended.staticSummary(), 'visible: Refund order A-1012.');
    const events = await readHistory(platform, handle);
    assert.deepEqual(
      activitiesOf(events).map(({ type, summary }) => `${type} | ${summary}`),
      [
        'admit | admit visible',
        'perceive | before turn 1 · 1 message',
        'callModel | turn 1 · standard',
        'lookup@1 | turn 1: lookup A-1012',
        'callModel | turn 2 · standard · 1 tool result',
        'recordProgress | phase: waiting',
        'requestApproval | turn 2: pay needs approval',
        'settleApproval | turn 2: pay approve',
        'recordProgress | phase: running',
        'pay@1 | turn 2: pay',
        'callModel | turn 3 · standard · 1 tool result',
        'recordEnd | end: completed',
      ],
    );
    assert.deepEqual(timersOf(events), ['deadline of the run', 'approval of pay expires']);
    const { PerdureCostUsd: cost, ...attributes } = ended.searchAttributes;
    const release = end.release ?? '';
    const expected = {
      PerdureTenant: [platform.tenant],
      PerdureAgent: ['visible'],
      PerdureMode: ['live'],
      PerdurePhase: ['ended'],
      PerdureOutcome: ['completed'],
      PerdureRelease: [release],
    };
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(attributes[name], value, name);
    assert.equal(cost?.[0], Number(end.costPico) / 1e12);
    const query = `PerdureTenant = '${platform.tenant}' AND PerdurePhase = 'ended' AND PerdureOutcome = 'completed' AND PerdureRelease = '${release}' AND PerdureCostUsd > 0`;
    await until('run in the list', async () => {
      for await (const found of client.workflow.list({ query }))
        if (found.workflowId === handle.workflowId) return true;
      return false;
    });
  });

  it('leaves its row, its observations and its audit', async () => {
    const { handle, end } = await run('rows');
    const { db, tenant } = platform;
    const row = await db
      .selectFrom('runs')
      .selectAll()
      .where('tenant', '=', tenant)
      .where('id', '=', handle.workflowId)
      .executeTakeFirstOrThrow();
    assert.deepEqual(
      [row.phase, row.turns, row.tool_calls, row.agent, row.principal, row.run_end],
      ['ended', 2, 3, 'rows', 'ann', end],
    );
    assert.ok(row.ended_at !== null && row.head !== null);
    const observations = await db
      .selectFrom('observations')
      .select(['kind', 'name', 'turn', 'call_index', 'outcome', 'cost_pico', 'closed_at'])
      .where('tenant', '=', tenant)
      .where('run_id', '=', handle.workflowId)
      .orderBy('opened_at')
      .execute();
    assert.deepEqual(
      observations
        .map(({ kind, name, turn, call_index, outcome }) => [kind, name, turn, call_index, outcome].join(' '))
        .toSorted(),
      [
        'model scripted:rows 1  replied',
        'model scripted:rows 2  replied',
        'tool lookup@1 1 0 ok',
        'tool lookup@1 1 1 ok',
        'tool pay@1 1 2 succeeded',
      ],
    );
    assert.ok(observations.every(({ closed_at }) => closed_at !== null));
    const spent = observations.reduce((sum, { cost_pico }) => sum + BigInt(cost_pico ?? 0), 0n);
    assert.equal(String(spent), end.costPico);
    const audit = await db.selectFrom('audit').select(['action', 'principal']).where('tenant', '=', tenant).execute();
    const actions = audit.map(({ action }) => action);
    for (const action of ['run.start', 'effect.intend', 'run.end']) assert.ok(actions.includes(action), action);
  });
});
