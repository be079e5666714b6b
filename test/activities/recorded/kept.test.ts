// Goal: a run that nobody recorded is played again from what is stored of it: its replies, failures, usage and cost.
// Method: `run record` writes the recording of a run against a provider that also fails; a platform of its own plays it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, defineAgent } from '../../../src/authoring/index.ts';
import { recorded, startTestPlatform, type TestPlatform } from '../../../src/testing/index.ts';
import { capturedCli } from '../../cli/captured-cli.ts';
import { type ProviderServer, refusals, startProviderServer } from '../../support/provider-server.ts';
import { startTestServers, testFolder } from '../../support/servers.ts';
import { lookupTool } from '../../support/workflow/test-agent.ts';

const agent: Agent = defineAgent({
  name: 'clerk',
  owner: 'tests',
  purpose: 'Looks things up.',
  requirements: { latencyP95Ms: 60_000, costPerRunUsd: 10 },
  instructions: 'Look it up.',
  models: { standard: { id: 'openai:gpt-5-mini', outputTokensMax: 1_000, contextTokensMax: 128_000 } },
  tools: [lookupTool('lookup')],
});

const input = 'What of a@x.org?';

describe('a recording of what is stored of a run', function () {
  this.timeout(120_000);
  let provider: ProviderServer;
  let platform: TestPlatform;
  let file: string;
  let perdure: ReturnType<typeof capturedCli>;
  let first: Awaited<ReturnType<typeof tellOf>>;

  before(async () => {
    provider = await startProviderServer();
    provider.next(
      refusals.serverError,
      {
        kind: 'reply',
        reasoning: 'Hm.',
        text: 'A moment.',
        toolCalls: [{ name: 'lookup', arguments: { id: 'a@x.org' } }],
      },
      { kind: 'reply', text: '', finishReason: 'stop' },
      { kind: 'reset', when: 'after-work' },
      { kind: 'reply', text: 'It is found: a@x.org.' },
    );
    const env = { PERDURE_MODEL_BASE_URL: provider.baseUrl, OPENAI_API_KEY: 'sk-test-0123456789' };
    platform = await startTestPlatform({ agents: [agent], env });
    first = await tellOf(platform);
    const { temporal, postgres } = await startTestServers();
    const servers = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace };
    perdure = capturedCli({ ...servers, DATABASE_URL: postgres.url });
    file = join(await testFolder(), 'incident.jsonl');
  });
  after(async () => {
    await platform?.stop();
    await provider?.close();
  });

  it('is written by the command line, masked, and not written over', async () => {
    const made = await perdure('run', 'record', first.id, '-o', file);
    assert.deepEqual(made, { exitCode: 0, out: `${file}: 5 calls of run ${first.id}`, said: '' });
    const text = readFileSync(file, 'utf8');
    assert.equal(text.includes('a@x.org'), false);
    assert.equal(text.trimEnd().split('\n').length, 6);
    const again = await perdure('run', 'record', first.id, '--output', file);
    assert.equal(again.exitCode, 5);
    assert.match(again.said, /is there already; delete it, or name another file/);
    assert.equal((await perdure('run', 'record', 'x'.repeat(22), '-o', `${file}.other`)).exitCode, 4);
  });

  it('is played with the same transcript, usage and money', async () => {
    const model = recorded(readFileSync(file, 'utf8'));
    assert.deepEqual([model.kind, model.modelId], ['kept', 'openai:gpt-5-mini']);
    const playing = await startTestPlatform({ agents: [agent], recordings: { clerk: model } });
    const { id, ...again } = await tellAndStop(playing);
    const { id: before, ...told } = first;
    assert.notEqual(id, before);
    assert.deepEqual(again, told);
    model.assertUsed();
  });

  it('says where a run asks for something else', async () => {
    const model = recorded(readFileSync(file, 'utf8'));
    const changed = { ...agent, instructions: 'Look it up twice.' };
    const playing = await startTestPlatform({ agents: [changed], recordings: { clerk: model } });
    const { outcome } = await tellAndStop(playing);
    assert.match(JSON.stringify(outcome), /instructions differ at instructions, from character 10/);
    assert.throws(() => model.assertUsed(), /recorded \\?"Look it up\.\\?", asked \\?"Look it up twice/);
  });
});

async function tellAndStop(platform: TestPlatform): ReturnType<typeof tellOf> {
  try {
    return await tellOf(platform);
  } finally {
    await platform.stop();
  }
}

/** Runs the agent once and tells what is kept of it, less times and the names of processes. */
async function tellOf({ start, reader, tenant }: TestPlatform) {
  const run = await start('clerk', input);
  const { outcome, costPico } = await run.result();
  const timeline = await reader.timeline(tenant, run.id);
  return {
    id: run.id,
    outcome,
    costPico,
    answer: await reader.answer(tenant, run.id),
    parts: await reader.transcript(tenant, run.id),
    attempts: timeline.map(
      ({ turn, kind, outcome: became, cause, inputTokens, outputTokens, costPico: cost, heldPico }) => ({
        turn,
        kind,
        became,
        cause,
        inputTokens,
        outputTokens,
        cost,
        heldPico,
      }),
    ),
  };
}
