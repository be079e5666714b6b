// Goal: runs go on with another model while theirs fails, one call finds out when it is back, and runs then have their own again.
// Method: workers of two processes' state on real servers; a provider that fails for one model until a test mends it, and its own ledger.
import assert from 'node:assert/strict';
import { LIMITS } from '../../src/domain/run/limits.ts';
import type { ModelResult } from '../../src/domain/run/results.ts';
import { openMs } from '../../src/activities/model/routing/breaker-machine.ts';
import { type Behaviour, type ProviderServer, refusals, startProviderServer } from '../support/provider-server.ts';
import { activitiesOf, readHistory } from '../support/workflow/history.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { testAgent } from '../support/workflow/test-agent.ts';

/** How long a process may think that a model answers after another has learned that it does not. */
const AGREED_MS = 1_000;

/** How long the call that tries is at work, so that others come meanwhile. */
const TRIED_MS = 700;

const MODEL_TIMEOUT_MS = 50_000;

const choice = (name: string) => ({
  id: `openai-compatible:${name}`,
  outputTokensMax: 100,
  contextTokensMax: 10_000,
});

describe('runs whose model fails', function () {
  this.timeout(180_000);
  let provider: ProviderServer;
  let platform: Platform;
  let main: Behaviour = refusals.serverError;
  const calls: { readonly at: number; readonly isAnswered: boolean }[] = [];

  const agent = testAgent('backed', {
    models: { standard: { ...choice('main'), fallbacks: [choice('spare')] } },
  });

  before(async () => {
    provider = await startProviderServer();
    provider.always(({ model }) => {
      if (model !== 'main') return { kind: 'reply', text: 'the spare' };
      calls.push({ at: Date.now(), isAnswered: main.kind === 'reply' });
      return main;
    });
    const env = {
      PERDURE_MODEL_TIMEOUT_MS: String(MODEL_TIMEOUT_MS),
      PERDURE_MODEL_BASE_URL: provider.baseUrl,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
    };
    const tiered = testAgent('tiered', { models: { standard: choice('usual'), strong: choice('strong') } });
    platform = await startPlatform({ agents: [agent, tiered], env });
    // A second set of workers: what one learns, the other has only from the database.
    await platform.startWorkers();
  });
  after(async () => {
    await platform.close();
    await provider.close();
  });

  /** Makes a run and says which model answered it, and why. */
  const run = async (): Promise<string> => {
    const handle = await platform.start('backed', 'Who are you?');
    assert.equal((await handle.result()).outcome.kind, 'completed');
    const called = activitiesOf(await readHistory(platform, handle)).find(({ type }) => type === 'callModel');
    const route = (called?.result as (ModelResult & { kind: 'replied' }) | undefined)?.route;
    return route?.fallback === undefined ? String(route?.id) : `${route.id} (${route.fallback.why})`;
  };
  it('ask the model of another tier where the start says so', async () => {
    const handle = await platform.start('tiered', 'Who are you?', { tier: 'strong' });
    await handle.result();
    const called = activitiesOf(await readHistory(platform, handle)).find(({ type }) => type === 'callModel');
    const result = called?.result as (ModelResult & { kind: 'replied' }) | undefined;
    assert.deepEqual(result?.route, { tier: 'strong', id: 'openai-compatible:strong' });
    assert.match(called?.summary ?? '', /^turn 1 · strong/);
  });

  it('have time for each model that an attempt may ask', async () => {
    const handle = await platform.start('tiered', 'Who are you?');
    await handle.result();
    const history = await readHistory(platform, handle);
    const called = history.flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityType?.name === 'callModel' ? [Number(scheduled.startToCloseTimeout?.seconds)] : [],
    );
    assert.equal(called[0], (2 * MODEL_TIMEOUT_MS + LIMITS.settleMs) / 1_000);
  });

  const spare = /^openai-compatible:spare \((?:breaker-open|probing)\)$/;

  it('are answered by its fallback, and the model is not called while its breaker is open', async () => {
    assert.match(await run(), spare);
    // The first run alone has found it out; its last call was the one that opened the breaker.
    assert.equal(calls.length, 5);
    const openedAt = calls.at(-1)?.at ?? 0;
    for (const answered of await Promise.all([run(), run(), run(), run()])) assert.match(answered, spare);
    const meanwhile = calls.filter(({ at }) => at > openedAt + AGREED_MS && at < openedAt + openMs(1) - 50);
    assert.equal(meanwhile.length, 0);
  });

  it('find out by one call at a time that it is back, and have it again', async () => {
    main = { kind: 'reply', text: 'the main', delayMs: TRIED_MS };
    const answers: string[] = [];
    while (!answers.includes('openai-compatible:main')) {
      answers.push(...(await Promise.all([run(), run(), run()])));
      assert.ok(answers.length < 300, answers.join(', '));
    }
    const first = calls.find(({ isAnswered }) => isAnswered)?.at ?? 0;
    const beside = calls.filter(({ at }) => at > first && at < first + TRIED_MS);
    assert.equal(beside.length, 0, 'another call was made while one was trying');
    assert.deepEqual(
      [...new Set(answers.filter((each) => each !== 'openai-compatible:main'))].filter((each) => !spare.test(each)),
      [],
    );
    // Both processes have heard of it by now, or will within a second.
    await new Promise((resolve) => setTimeout(resolve, AGREED_MS + 100));
    assert.deepEqual(
      await Promise.all([run(), run(), run(), run()]),
      Array.from({ length: 4 }, () => 'openai-compatible:main'),
    );
  });
});
