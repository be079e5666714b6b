// Goal: a run with several models and an output is played by all of them, however it was recorded.
// Method: a run whose first model refuses the key is recorded both ways, then played on platforms that have no provider.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Agent, defineAgent } from '../../../src/authoring/index.ts';
import { recorded, startTestPlatform, type TestPlatform } from '../../../src/testing/index.ts';
import { capturedCli } from '../../cli/captured-cli.ts';
import { type ProviderServer, refusals, startProviderServer } from '../../support/provider-server.ts';
import { startTestServers, testFolder } from '../../support/servers.ts';
import { lookupTool } from '../../support/workflow/test-agent.ts';

const limits = { outputTokensMax: 1_000, contextTokensMax: 128_000 };

const agent: Agent = defineAgent({
  name: 'adviser',
  owner: 'tests',
  purpose: 'Looks customers up.',
  requirements: { latencyP95Ms: 60_000, costPerRunUsd: 10 },
  instructions: 'Look the customer up.',
  models: {
    standard: { id: 'openai:gpt-5-mini', ...limits, fallbacks: [{ id: 'anthropic:claude-haiku-4-5', ...limits }] },
    strong: { id: 'openai-responses:gpt-5', ...limits },
  },
  tools: [lookupTool('lookup')],
  output: z.strictObject({ customer: z.string() }),
});

const input = 'Who is C-123456?';
const answer = '{"customer":"C-123456"}';

describe('recordings of a run with several models', function () {
  this.timeout(120_000);
  let provider: ProviderServer;
  let platform: TestPlatform;
  let folder: string;
  let id: string;
  const texts: Record<string, string> = {};

  before(async () => {
    provider = await startProviderServer();
    folder = await testFolder();
    provider.next(
      refusals.unauthorized,
      { kind: 'reply', toolCalls: [{ name: 'lookup', arguments: { id: 'C-123456' } }] },
      refusals.unauthorized,
      { kind: 'reply', text: 'It is C-123456.' },
      { kind: 'reply', text: answer },
    );
    const masks = { PERDURE_RECORD_MASKS: '{"customer":"C-[0-9]{6}"}' };
    platform = await startTestPlatform({
      agents: [agent],
      env: {
        PERDURE_MODEL_BASE_URL: provider.baseUrl,
        ANTHROPIC_BASE_URL: provider.baseUrl,
        OPENAI_API_KEY: 'sk-test-0123456789',
        ANTHROPIC_API_KEY: 'sk-ant-0123456789',
        PERDURE_RECORD_MODELS: folder,
        ...masks,
      },
    });
    const run = await platform.start(agent.name, input);
    const { outcome } = await run.result();
    assert.deepEqual(outcome, { kind: 'completed' });
    id = run.id;
    texts['wire'] = readFileSync(join(folder, `${id}.jsonl`), 'utf8');
    const { temporal, postgres } = await startTestServers();
    const servers = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace };
    const perdure = capturedCli({ ...servers, DATABASE_URL: postgres.url, ...masks });
    const file = join(folder, 'kept.jsonl');
    assert.equal((await perdure('run', 'record', id, '-o', file)).exitCode, 0);
    texts['kept'] = readFileSync(file, 'utf8');
  });
  after(async () => {
    await platform?.stop();
    await provider?.close();
  });

  for (const kind of ['wire', 'kept'] as const) {
    it(`are played by each model where they were ${kind === 'wire' ? 'made on the wire' : 'made of what is stored'}`, async () => {
      const text = texts[kind] ?? '';
      assert.equal(text.includes('C-123456'), false);
      assert.match(text, /\[customer-1\]/);
      const model = recorded(text);
      assert.equal(model.kind, kind);
      const playing = await startTestPlatform({ agents: [agent], recordings: { adviser: model } });
      try {
        const again = await playing.start(agent.name, input);
        const { outcome } = await again.result();
        if (outcome.kind !== 'completed') model.assertUsed();
        assert.deepEqual(outcome, { kind: 'completed' });
        assert.equal(await again.answer(), answer);
        model.assertUsed();
        const [before, after] = await Promise.all([tell(platform, id), tell(playing, again.id)]);
        assert.deepEqual(after, before);
      } finally {
        await playing.stop();
      }
    });
  }
});

/** What is kept of the attempts, less the names of models and processes. */
async function tell({ reader, tenant }: TestPlatform, run: string) {
  const timeline = await reader.timeline(tenant, run);
  return {
    parts: await reader.transcript(tenant, run),
    attempts: timeline.map(({ turn, kind, outcome, cause, inputTokens, outputTokens, costPico, heldPico }) => {
      return { turn, kind, outcome, cause, inputTokens, outputTokens, costPico, heldPico };
    }),
  };
}
