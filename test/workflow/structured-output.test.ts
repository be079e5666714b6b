// Goal: an agent that declares an output answers with a value of it: what does not fit is sent back once, and then ends the run with what was wrong.
// Method: scripted models on real servers, whose answers fit, fit at the second try, or never do.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { scripted, type ScriptedReply } from '../../src/activities/model/scripted-model.ts';
import { createRunHandle } from '../../src/client/run-handle.ts';
import type { ClientContext } from '../../src/client/context.ts';
import type { RunEnd } from '../../src/domain/run/run-end.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import { signal } from '../support/workflow/talk.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const Quote = z.strictObject({ priceUsd: z.number().positive(), lines: z.array(z.strictObject({ sku: z.string() })) });

const GOOD = { priceUsd: 12.5, lines: [{ sku: 'a' }] };
const WRONG = '{"priceUsd":"12.5","lines":[{"sku":"a"},{}]}';

describe('an agent with an output', () => {
  let platform: Platform;
  const models = new Map<string, ReturnType<typeof scripted>>();
  const answers: Readonly<Record<string, readonly ScriptedReply[]>> = {
    fitting: [{ toolCalls: [{ tool: 'look', input: { id: 'a' } }] }, { text: JSON.stringify(GOOD) }],
    fenced: [{ text: `\`\`\`json\n${JSON.stringify(GOOD, null, 2)}\n\`\`\`` }],
    mended: [{ text: WRONG }, { text: JSON.stringify(GOOD) }],
    hopeless: [{ text: WRONG }, { text: 'The price is 12.50 USD.' }],
    single: [{ text: 'Hm.' }, { text: JSON.stringify(GOOD) }],
    late: [{ toolCalls: [{ tool: 'look', input: { id: 'a' } }] }, { text: WRONG }, { text: JSON.stringify(GOOD) }],
    talking: [
      { text: 'Hm.' },
      { text: '{"priceUsd":1,"lines":[]}' },
      { text: 'Hm.' },
      { text: '{"priceUsd":2,"lines":[]}' },
    ],
  };

  const limits: Readonly<Record<string, { readonly limits: { readonly turns: number } }>> = {
    single: { limits: { turns: 1 } },
    late: { limits: { turns: 2 } },
  };

  before(async () => {
    for (const [name, script] of Object.entries(answers)) models.set(name, scripted(script));
    platform = await startPlatform({
      agents: Object.keys(answers).map((name) =>
        testAgent(name, { output: Quote, tools: [lookupTool('look')], ...limits[name] }),
      ),
      scripts: Object.fromEntries(models),
    });
  });
  after(async () => platform.close());

  const run = async (agent: string): Promise<{ handle: RunHandle; end: RunEnd }> => {
    const handle = await platform.start(agent, 'What does it cost?');
    const end = await handle.result();
    models.get(agent)?.assertUsed();
    return { handle, end };
  };
  const reader = () => createRunReader(platform.stores);
  const outputOf = (handle: RunHandle) => {
    const context = { reader: reader() } as unknown as ClientContext;
    return createRunHandle(context, handle.workflowId, platform.tenant).output(Quote);
  };

  for (const agent of ['fitting', 'fenced']) {
    it(`gives the value of an answer that fits (${agent})`, async () => {
      const { handle, end } = await run(agent);
      assert.equal(end.outcome.kind, 'completed');
      assert.deepEqual(await outputOf(handle), GOOD);
      assert.equal(await reader().answer(platform.tenant, handle.workflowId), JSON.stringify(GOOD));
    });
  }

  it('sends an answer that does not fit back once, says what did not, and pays for both', async () => {
    const { handle, end } = await run('mended');
    assert.deepEqual([end.outcome.kind, end.turns], ['completed', 2]);
    assert.deepEqual(await outputOf(handle), GOOD);
    const parts = await reader().transcript(platform.tenant, handle.workflowId);
    assert.deepEqual(
      parts.map(({ kind }) => kind),
      ['user-text', 'assistant-text', 'guidance', 'assistant-text'],
    );
    const told = parts.flatMap((part) => (part.kind === 'guidance' ? [part.text] : []))[0] ?? '';
    assert.match(told, /priceUsd: .*expected number, received string/);
    assert.match(told, /lines\[1\]\.sku: .*expected string, received undefined/);
    assert.ok(!told.includes('12.5'), 'the value itself is repeated');
    const receipt = await reader().receipt(platform.tenant, handle.workflowId);
    const paid = receipt?.attempts.filter(({ kind, costPico }) => kind === 'model' && BigInt(costPico ?? 0) > 0n);
    assert.equal(paid?.length, 2);
  });

  it('ends the run when the next answer does not fit either', async () => {
    const { handle, end } = await run('hopeless');
    assert.ok(end.outcome.kind === 'failed');
    assert.equal(end.outcome.cause, 'validation');
    assert.match(
      end.outcome.message,
      /does not fit the output schema, and neither did the one before: it is not one JSON value/,
    );
    assert.equal(end.answer, null);
    assert.equal(await outputOf(handle), null);
  });

  for (const [agent, turns] of [
    ['single', 2],
    ['late', 3],
  ] as const) {
    it(`sends the answer of the last turn back all the same (${agent})`, async () => {
      const { handle, end } = await run(agent);
      assert.deepEqual([end.outcome.kind, end.turns], ['completed', turns]);
      assert.deepEqual(await outputOf(handle), GOOD);
    });
  }

  it('counts anew after each answer of a conversation', async () => {
    const handle = await platform.start('talking', 'What does it cost?', { kind: 'conversation' });
    const value = async () => (await outputOf(handle))?.priceUsd;
    await until('first answer', async () => (await value()) === 1);
    await signal(handle, 'provideInput', { text: 'And two?' });
    await until('second answer', async () => (await value()) === 2);
    await signal(handle, 'requestStop', { reason: 'that was all' });
    assert.equal((await handle.result()).outcome.kind, 'cancelled');
    models.get('talking')?.assertUsed();
  });
});
