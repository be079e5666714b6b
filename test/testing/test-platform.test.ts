// Goal: users can run their agents against a scripted model on real servers, keep the history of a run, and see whether it replays.
// Method: `perdure/testing` as users call it, with an agent whose write waits for a person.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, defineAgent } from '../../src/authoring/index.ts';
import {
  replayHistories,
  scripted,
  startTestPlatform,
  type TestPlatform,
  type TestPlatformSetup,
  untilAsked,
} from '../../src/testing/index.ts';
import { testFolder } from '../support/servers.ts';
import { type Destination, lookupTool, payTool } from '../support/workflow/test-agent.ts';

const destination: Destination = { arrived: [] };

/** Names a provider's model, as agents in production do. */
const agent: Agent = defineAgent({
  name: 'payer',
  owner: 'tests',
  purpose: 'Pays.',
  requirements: { latencyP95Ms: 60_000, costPerRunUsd: 10 },
  instructions: 'Pay what you are told to.',
  models: { standard: { id: 'openai:gpt-5-mini', outputTokensMax: 1_000, contextTokensMax: 128_000 } },
  tools: [payTool(destination), lookupTool('lookup')],
  approvals: [{ name: 'above-100', tool: 'pay', when: { path: 'amount', above: 100 } }],
});

describe('a test platform', function () {
  this.timeout(120_000);

  let platform: TestPlatform;
  let folder: string;
  const script = scripted(({ parts }) => {
    const asked = parts.findLast((part) => part.kind === 'user-text')?.text ?? '';
    if (parts.at(-1)?.kind === 'tool-result') return { text: 'Paid.' };
    return asked === 'Hello.' ? { text: 'Hello.' } : { toolCalls: [{ tool: 'pay', input: { amount: Number(asked) } }] };
  });

  before(async () => {
    folder = await testFolder();
    platform = await startTestPlatform({ agents: [agent], scripts: { payer: script } });
  });
  after(() => platform.stop());

  it('runs an agent with a script in the place of its model', async () => {
    const run = await platform.start('payer', '40');
    const end = await run.result();
    assert.deepEqual([end.outcome, end.toolCalls], [{ kind: 'completed' }, 1]);
    assert.equal(await run.answer(), 'Paid.');
    assert.equal(destination.arrived.filter(({ amount }) => amount === 40).length, 1);
    const record = await platform.reader.run(platform.tenant, run.id);
    assert.equal(record?.agent, 'payer');
  });

  it('lets a test decide what waits for a person', async () => {
    const run = await platform.start('payer', '200');
    const asked = await untilAsked(run);
    assert.deepEqual([asked.kind, asked.kind === 'approval' && asked.rule], ['approval', 'above-100']);
    assert.deepEqual(
      destination.arrived.filter(({ amount }) => amount === 200),
      [],
    );
    await run.decideApproval({ decision: { kind: 'approve' } });
    assert.equal((await run.result()).outcome.kind, 'completed');
    assert.equal(destination.arrived.filter(({ amount }) => amount === 200).length, 1);
  });

  it('says when a run ends without asking', async () => {
    const run = await platform.start('payer', 'Hello.');
    await assert.rejects(untilAsked(run), /asked nobody and ended: \{"kind":"completed"\}/);
  });

  it('keeps a history once, which then replays', async () => {
    const run = await platform.start('payer', '41');
    await run.result();
    const file = join(folder, 'kept', 'paid.json');
    assert.deepEqual(await platform.recordHistory(run, file), [file]);
    const text = readFileSync(file, 'utf8');
    assert.deepEqual(await platform.recordHistory(await platform.start('payer', '42'), file), []);
    assert.equal(readFileSync(file, 'utf8'), text);
    assert.deepEqual(await replayHistories(join(folder, 'kept')), [{ name: 'paid.json', problem: null }]);
  });

  it('keeps each execution of a run that continued as new', async () => {
    const single = await startTestPlatform({
      agents: [agent],
      scripts: { payer: scripted(({ call }) => (call < 3 ? { toolCalls: [look(call)] } : { text: 'Done.' })) },
      env: { PERDURE_TURNS_PER_EXECUTION: '1' },
    });
    try {
      const run = await single.start('payer', 'Look twice.');
      await run.result();
      await single.recordHistory(run, join(folder, 'continued', 'looked.json'));
    } finally {
      await single.stop();
    }
    const files = readdirSync(join(folder, 'continued'));
    assert.deepEqual(files.toSorted(), ['looked-1.json', 'looked-2.json', 'looked-3.json']);
    const replayed = await replayHistories(join(folder, 'continued'));
    assert.deepEqual(
      replayed.map(({ problem }) => problem),
      [null, null, null],
    );
  });

  it('tells of a history that does not replay, or is none', async () => {
    const run = await platform.start('payer', '43');
    await run.result();
    const file = join(folder, 'broken', 'a.json');
    await platform.recordHistory(run, file);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('"callModel"', '"callOracle"'));
    writeFileSync(join(folder, 'broken', 'b.json'), '{');
    const [changed, none] = await replayHistories(join(folder, 'broken'));
    assert.match(changed?.problem ?? '', /callOracle|[Nn]ondeterminism/);
    assert.match(none?.problem ?? '', /not a JSON history/);
  });

  it('does not take an empty or missing folder for histories that replay', async () => {
    mkdirSync(join(folder, 'empty'));
    for (const path of [join(folder, 'empty'), join(folder, 'none')]) {
      await assert.rejects(replayHistories(path), /holds no \*\.json: record a run with recordHistory first/);
    }
  });

  for (const [what, setup, problem] of [
    [
      'an agent that would call a provider',
      { agents: [agent] },
      /payer has the model openai:gpt-5-mini: give it a scr/,
    ],
    [
      'a script of no agent',
      { agents: [agent], scripts: { buyer: scripted([]) } },
      /script for buyer, which is none of the agents: payer/,
    ],
  ] satisfies [string, TestPlatformSetup, RegExp][]) {
    it(`refuses ${what}`, async () => assert.rejects(startTestPlatform(setup), problem));
  }
});

function look(call: number) {
  return { tool: 'lookup', input: { id: `${call}` } };
}
