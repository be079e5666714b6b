// Goal: a run that nobody recorded is played again from what is stored of it: its replies, failures, usage and cost.
// Method: `run record` writes the recording of a run against a provider that also fails; a platform of its own plays it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, defineAgent } from '../../../src/authoring/index.ts';
import { recorded, startTestPlatform, type TestPlatform } from '../../../src/testing/index.ts';
import { capturedCli } from '../../cli/captured-cli.ts';
import { type ProviderServer, refusals, startProviderServer } from '../../support/provider-server.ts';
import {
  CONTEXT_TOKENS,
  isInPlace,
  isSummaryRequest,
  REPLY_TOKENS,
  withSmallContext,
} from '../../support/small-context.ts';
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

/** Looks up long results with a model whose context they fill again and again. */
const reader: Agent = defineAgent({
  ...agent,
  name: 'reader',
  models: {
    standard: { id: 'openai:gpt-5-mini', outputTokensMax: REPLY_TOKENS, contextTokensMax: CONTEXT_TOKENS },
    small: { id: 'openai:gpt-5-nano', outputTokensMax: REPLY_TOKENS, contextTokensMax: CONTEXT_TOKENS },
  },
  limits: { turns: 40, toolCalls: 40, tokens: 1e9 },
  tools: [lookupTool('lookup', (id) => `found ${id} for a@x.org `.padEnd(24_000, 'and so on. '))],
});

/** The same without a model for summaries: its own writes them in place. */
const alone: Agent = defineAgent({ ...reader, name: 'reader-alone', models: { standard: reader.models.standard } });

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
    platform = await startTestPlatform({ agents: [agent, reader, alone], env });
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

  for (const [name, compacting] of Object.entries({ reader, 'reader-alone': alone })) {
    it(`is played with its summaries, and compacts where a prompt was refused: ${name}`, async () => {
      const asked: string[] = [];
      provider.always(
        withSmallContext((request) => {
          if (isSummaryRequest(request) || isInPlace(request)) {
            asked.push('summary');
            return asked.filter((what) => what === 'summary').length === 1
              ? refusals.serverError
              : { kind: 'reply', text: `They looked up ${asked.length} things for a@x.org.` };
          }
          asked.push('turn');
          if (asked.length === 3) return refusals.contextTooLong;
          if (asked.length > 14) return { kind: 'reply', text: 'Done.' };
          return { kind: 'reply', toolCalls: [{ name: 'lookup', arguments: { id: `A-${asked.length}` } }] };
        }),
      );
      const { id, ...told } = await tellOf(platform, name);
      const compacted = told.attempts.filter(({ kind }) => kind === 'compact').map(({ became }) => became);
      assert.deepEqual([compacted.includes('summarised'), compacted.includes('failed')], [true, true]);
      assert.ok(told.attempts.some(({ cause }) => cause === 'validation'));
      const compactedFile = join(await testFolder(), `${name}.jsonl`);
      assert.equal((await perdure('run', 'record', id, '-o', compactedFile)).exitCode, 0);
      const text = readFileSync(compactedFile, 'utf8');
      assert.equal(text.includes('a@x.org'), false);
      const model = recorded(text);
      const playing = await startTestPlatform({ agents: [compacting], recordings: { [name]: model } });
      const { id: _, ...again } = await tellAndStop(playing, name);
      assert.deepEqual(again, told);
      model.assertUsed();
    });
  }

  it('says where a run asks for something else', async () => {
    const model = recorded(readFileSync(file, 'utf8'));
    const changed = { ...agent, instructions: 'Look it up twice.' };
    const playing = await startTestPlatform({ agents: [changed], recordings: { clerk: model } });
    const { outcome } = await tellAndStop(playing);
    assert.match(JSON.stringify(outcome), /instructions differ at instructions, from character 10/);
    assert.throws(() => model.assertUsed(), /recorded \\?"Look it up\.\\?", asked \\?"Look it up twice/);
  });
});

async function tellAndStop(platform: TestPlatform, name?: string): ReturnType<typeof tellOf> {
  try {
    return await tellOf(platform, name);
  } finally {
    await platform.stop();
  }
}

/** Runs an agent once and tells what is kept of it, less times and the names of processes. */
async function tellOf({ start, reader: rows, tenant }: TestPlatform, name = 'clerk') {
  const run = await start(name, input);
  const { outcome, costPico } = await run.result();
  const timeline = await rows.timeline(tenant, run.id);
  return {
    id: run.id,
    outcome,
    costPico,
    answer: await rows.answer(tenant, run.id),
    parts: await rows.transcript(tenant, run.id),
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
