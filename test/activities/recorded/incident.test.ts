// Goal: an incident that was recorded happens again, without a network: the same transcript, failures, usage and cost.
// Method: a run against a provider that refuses, breaks off and answers is recorded by its worker, then played on a platform of its own.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, defineAgent } from '../../../src/authoring/index.ts';
import { recorded, startTestPlatform, type TestPlatform } from '../../../src/testing/index.ts';
import { type ProviderServer, refusals, startProviderServer } from '../../support/provider-server.ts';
import { testFolder } from '../../support/servers.ts';
import { lookupTool } from '../../support/workflow/test-agent.ts';

const KEY = 'sk-test-0123456789abcdef';
const EMAIL = 'liam.murphy@example.com';
const CARD = '4111 1111 1111 1111';
const looked: string[] = [];

const agent: Agent = defineAgent({
  name: 'desk',
  owner: 'tests',
  purpose: 'Looks customers up.',
  requirements: { latencyP95Ms: 60_000, costPerRunUsd: 10 },
  instructions: 'Look the customer up. Write to desk@example.com when in doubt.',
  models: { standard: { id: 'openai:gpt-5-mini', outputTokensMax: 1_000, contextTokensMax: 128_000 } },
  tools: [
    lookupTool('lookup', (id) => {
      looked.push(id);
      return { id, card: CARD };
    }),
  ],
});

const input = `I am ${EMAIL}, what is my card?`;

describe('a recorded run', function () {
  this.timeout(120_000);

  let provider: ProviderServer;
  let folder: string;
  let told: Told;
  let text: string;

  before(async () => {
    provider = await startProviderServer();
    folder = join(await testFolder(), 'recordings');
    const lookup = { text: 'One moment.', toolCalls: [{ name: 'lookup', arguments: { id: EMAIL } }] };
    provider.next(
      refusals.serverError,
      { kind: 'reset', when: 'after-work' },
      { kind: 'reply', ...lookup },
      {
        kind: 'cut',
        reply: { text: `Your card, ${EMAIL}, is ${CARD}.` },
        afterChunks: 6,
        end: 'reset',
      },
      {
        kind: 'stream-error',
        afterChunks: 3,
        reply: { text: 'Your card' },
        error: { message: 'Overloaded', type: 'overloaded_error' },
      },
      { kind: 'cut', reply: { text: 'Your card is known.' }, afterChunks: 3, end: 'clean' },
      { kind: 'reply', text: `Dear ${EMAIL}: your card is ${CARD}.` },
    );
    const env = { PERDURE_MODEL_BASE_URL: provider.baseUrl, OPENAI_API_KEY: KEY, PERDURE_RECORD_MODELS: folder };
    told = await runOnce({ agents: [agent], env });
    await provider.close();
    const [file = ''] = readdirSync(folder);
    assert.equal(file, `${told.id}.jsonl`);
    text = readFileSync(join(folder, file), 'utf8');
  });

  it('is recorded whole, and has neither keys nor what is personal', () => {
    assert.equal(told.outcome, 'completed');
    assert.equal(text.split('\n').filter((line) => line.includes('"kind":"answered"')).length, 7);
    for (const secret of [KEY, EMAIL, CARD, 'liam', 'desk@', 'authorization']) {
      assert.equal(text.includes(secret), false, `the recording has ${secret}`);
    }
    const ends = [...text.matchAll(/"end":"(\w+)"/g)].map(([, end]) => end);
    assert.deepEqual(ends, ['whole', 'failed', 'whole', 'cut', 'stopped', 'whole', 'whole']);
  });

  it('happens again without its provider', async () => {
    looked.length = 0;
    const model = recorded(text);
    assert.deepEqual([model.modelId, model.run], ['openai:gpt-5-mini', told.id]);
    const { id, ...again } = await runOnce({ agents: [agent], recordings: { desk: model } });
    const { id: first, ...before } = told;
    assert.notEqual(id, first);
    assert.deepEqual(
      { ...again, attempts: again.attempts.map(unnamed) },
      { ...before, attempts: before.attempts.map(unnamed) },
    );
    assert.deepEqual(looked, [EMAIL]);
    model.assertUsed();
  });

  it('is played from a folder by its name', async () => {
    const played = { ...agent, models: { standard: { ...agent.models.standard, id: `recorded:${told.id}` } } };
    const { answer, costPico } = await runOnce({ agents: [played], env: { PERDURE_RECORDINGS_DIR: folder } });
    assert.deepEqual([answer, costPico], [told.answer, told.costPico]);
  });

  it('says where a run asks for something else', async () => {
    const other = lookupTool('lookup');
    const changed = { ...agent, tools: [{ ...other, contract: { ...other.contract, description: 'Finds.' } }] };
    const model = recorded(text);
    const { outcome, message } = await runOnce({ agents: [changed], recordings: { desk: model } });
    assert.equal(outcome, 'failed');
    assert.match(
      message,
      /was left in turn 1: tools differ at tools\[0\]\.function\.description: recorded "Looks something up\.", asked "Finds\."/,
    );
    assert.throws(
      () => model.assertUsed(),
      /tools\[0\]\.function\.description: recorded .*; run .*: 2 recorded replies of turn 1 were not used/,
    );
  });

  it('names the place and not the words where a person said something else', async () => {
    const model = recorded(text);
    const { message } = await runOnce({ agents: [agent], recordings: { desk: model } }, 'I am somebody else.');
    assert.match(message, /messages differ at messages\[1\]\.content, from character 5$/);
    assert.throws(() => model.assertUsed(), /asked "I am somebody else\."/);
  });

  it('is an error where a call was not recorded', async () => {
    const [head = '', ...lines] = text.trimEnd().split('\n');
    const model = recorded([head, ...lines.slice(0, 2)].join('\n'));
    const { message } = await runOnce({ agents: [agent], recordings: { desk: model } });
    assert.match(message, /was left in turn 1: call 2 of this turn is not recorded/);
  });

  it('plays a call whose worker was killed as one without an answer', async () => {
    const lines = text.trimEnd().split('\n');
    const second = lines.findIndex((line) => line.includes('"kind":"answered"') && line.includes('One'));
    const torn = [...lines.slice(0, second), (lines[second] ?? '').slice(0, 80), ...lines.slice(second + 1)];
    assert.notEqual(second, -1);
    const model = recorded(torn.join('\n'));
    const { attempts } = await runOnce({ agents: [agent], recordings: { desk: model } });
    assert.match(String(attempts[2]?.message), /could not be reached/);
  });
});

type Told = {
  readonly id: string;
  readonly outcome: string;
  readonly message: string;
  readonly answer: string | null;
  readonly costPico: string;
  readonly parts: readonly unknown[];
  readonly attempts: readonly { readonly message: string | null }[];
};

/** Runs the agent once on a platform of its own and tells everything that is kept of it, less times and names of processes. */
async function runOnce(setup: Parameters<typeof startTestPlatform>[0], asked = input): Promise<Told> {
  const platform: TestPlatform = await startTestPlatform(setup);
  try {
    const run = await platform.start('desk', asked);
    const end = await run.result();
    const { reader, tenant } = platform;
    const timeline = await reader.timeline(tenant, run.id);
    return {
      id: run.id,
      outcome: end.outcome.kind,
      message: 'message' in end.outcome ? (end.outcome.message ?? '') : '',
      answer: await reader.answer(tenant, run.id),
      costPico: end.costPico,
      parts: await reader.transcript(tenant, run.id),
      attempts: timeline.map((entry) => ({
        turn: entry.turn,
        kind: entry.kind,
        attempt: entry.attempt,
        outcome: entry.outcome,
        cause: entry.cause,
        message: entry.message,
        usage: [entry.inputTokens, entry.outputTokens, entry.cacheReadTokens],
        costPico: entry.costPico,
        heldPico: entry.heldPico,
      })),
    };
  } finally {
    await platform.stop();
  }
}

/** The model's name is the recording's where it is played. */
function unnamed<Attempt extends { readonly message: string | null }>(attempt: Attempt): Attempt {
  return { ...attempt, message: attempt.message?.replaceAll(/\b(?:openai|recorded):[\w-]+/g, 'the model') ?? null };
}
