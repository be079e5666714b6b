// Goal: what a person can mend blocks a run and does not end it; it goes on by itself, or at once on `retry`.
// Method: a provider of our own that refuses the key, breaks or answers, and workers whose environment is mended while they run.
import assert from 'node:assert/strict';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { LIMITS } from '../../src/domain/run/limits.ts';
import { activitiesOf, readHistory } from '../support/workflow/history.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import { type ProviderServer, refusals, startProviderServer } from '../support/provider-server.ts';
import { stateOf, untilPhase, update } from '../support/workflow/talk.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

describe('a blocked run', () => {
  let platform: Platform;
  let provider: ProviderServer;
  const env: Record<string, string> = { PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };
  const key = 'a-good-key';
  const pinned = lookupTool('pinned');
  const scripts = {
    caller: scripted(({ parts }) => {
      if (parts.at(-1)?.kind === 'tool-result') return { text: 'Found.' };
      if (parts.length === 1) return { text: 'Hi.' };
      return { toolCalls: [{ tool: 'pinned', input: { id: 'a' } }] };
    }),
  };
  const wired = testAgent('wired', {
    models: { standard: { id: 'openai-compatible:m1', outputTokensMax: 100, contextTokensMax: 10_000 } },
  });

  /** A run that nobody takes the tool call of. It waits a minute while the other tests go on. */
  let withoutToolWorkers: Promise<{ readonly handle: RunHandle; readonly platform: Platform }>;
  const startLonely = async () => {
    const script = scripted([{ toolCalls: [{ tool: 'pinned', input: { id: 'a' } }] }, { text: 'Found.' }]);
    const agents = [testAgent('lonely', { tools: [pinned] })];
    const started = await startPlatform({
      agents,
      scripts: { lonely: script },
      env: { PERDURE_ROLES: 'agents,models' },
    });
    return { platform: started, handle: await started.start('lonely', 'Look.') };
  };

  before(async () => {
    provider = await startProviderServer();
    env['PERDURE_MODEL_BASE_URL'] = provider.baseUrl;
    withoutToolWorkers = startLonely();
    platform = await startPlatform({ agents: [wired, testAgent('caller', { tools: [pinned] })], scripts, env });
  });
  after(async () => {
    await platform.close();
    await provider.close();
  });

  const useKey = (used: string): void => {
    env['PERDURE_MODEL_API_KEY'] = used;
    // The key decides, not the moment: an attempt that is under way when the key is mended still has the bad one.
    provider.always((_request, authorization) =>
      authorization === `Bearer ${key}` ? { kind: 'reply', text: 'ok' } : refusals.unauthorized,
    );
  };
  const refuseKey = (): void => useKey('a-bad-key');
  const mendKey = (): void => useKey(key);

  it('names the variable of the key, keeps no secret, and goes on when the key is mended and someone says so', async () => {
    refuseKey();
    const handle = await platform.start('wired', 'Hello?');
    const { blocked } = await untilPhase(handle, 'blocked');
    assert.equal(blocked?.cause, 'model-authentication');
    assert.match(blocked?.mend ?? '', /PERDURE_MODEL_API_KEY/);
    const described = await until('cause in visibility', async () => {
      const { searchAttributes } = await handle.describe();
      return searchAttributes['PerdureCause']?.[0] === undefined ? null : searchAttributes;
    });
    assert.deepEqual([described['PerdurePhase'], described['PerdureCause']], [['blocked'], ['model-authentication']]);
    await until('row', async () => {
      const row = platform.db.selectFrom('runs').select(['phase', 'blocked']).where('id', '=', handle.workflowId);
      return (await row.executeTakeFirst())?.blocked?.cause === 'model-authentication';
    });
    assert.ok(!JSON.stringify(await handle.fetchHistory()).includes('a-bad-key'));
    mendKey();
    await update(handle, 'retry', {});
    const end = await handle.result();
    assert.deepEqual([end.outcome.kind, end.answer?.preview], ['completed', 'ok']);
    assert.equal(provider.ledger.at(-1)?.authorization, `Bearer ${key}`);
    await until('run without a cause in the list', async () => {
      const query = `WorkflowId = '${handle.workflowId}' AND PerdurePhase = 'ended' AND PerdureCause IS NULL`;
      return (await platform.client.workflow.count(query)).count === 1;
    });
  });

  it('goes on by itself when the key is mended, without growing its history while it waits', async () => {
    refuseKey();
    const handle = await platform.start('wired', 'Hello again?');
    await untilPhase(handle, 'blocked');
    const seen = provider.ledger.length;
    await until('three more tries', async () => provider.ledger.length >= seen + 3);
    const calls = activitiesOf(await readHistory(platform, handle)).filter(({ type }) => type === 'callModel');
    assert.equal(calls.length, 2);
    mendKey();
    assert.equal((await handle.result()).outcome.kind, 'completed');
  });

  it('ends at once when it is stopped', async () => {
    refuseKey();
    const handle = await platform.start('wired', 'Stop.');
    await untilPhase(handle, 'blocked');
    await update(handle, 'requestStop', { reason: 'no key' });
    assert.deepEqual((await handle.result()).outcome, { kind: 'cancelled', reason: 'no key' });
  });

  it('is one whose trouble outlasts the retries, and it heals with the trouble', async () => {
    await withRetriesOf(1_000, async () => {
      provider.always({ kind: 'status', status: 503 });
      const handle = await platform.start('wired', 'Are you there?');
      const { blocked } = await untilPhase(handle, 'blocked');
      assert.deepEqual([blocked?.cause, blocked?.mend], ['model-error', null]);
      assert.match(blocked?.message ?? '', /503/);
      mendKey();
      assert.equal((await handle.result()).outcome.kind, 'completed');
    });
  });

  it('waits for a worker that has the pinned tool, when the workers there do not', async () => {
    const handle = await platform.start('caller', 'Hi.', { kind: 'conversation' });
    await untilPhase(handle, 'waiting');
    await platform.stopWorkers();
    await platform.startWorkers({ agents: [wired, testAgent('caller')] });
    await update(handle, 'provideInput', { text: 'Look.' });
    const { blocked } = await untilPhase(handle, 'blocked');
    assert.equal(blocked?.cause, 'tool-missing');
    assert.match(blocked?.mend ?? '', /pinned@1/);
    await platform.stopWorkers();
    await platform.startWorkers({ agents: [wired, testAgent('caller', { tools: [pinned] })] });
    const answer = await until('answer', async () => (await stateOf(handle)).answer?.preview === 'Found.');
    assert.ok(answer);
    await handle.terminate();
  });

  it('waits for a worker when none has taken its tool for a minute', async function () {
    this.timeout(90_000);
    const { handle, platform: lonely } = await withoutToolWorkers;
    const { blocked } = await until(
      'blocked',
      async () => {
        const state = await stateOf(handle);
        return state.phase === 'blocked' ? state : null;
      },
      { timeoutMs: 75_000, everyMs: 500 },
    );
    assert.deepEqual([blocked?.cause, blocked?.message], ['tool-missing', 'no worker has taken pinned@1']);
    await lonely.startWorkers({ env: { PERDURE_ROLES: 'tools' } });
    assert.equal((await handle.result()).answer?.preview, 'Found.');
    await lonely.close();
  });
});

/** Lets activities in this process give up after another time than a minute. What workflows know of it stays. */
async function withRetriesOf(ms: number, work: () => Promise<void>): Promise<void> {
  const limits = LIMITS as { retryMs: number };
  const usual = limits.retryMs;
  limits.retryMs = ms;
  try {
    await work();
  } finally {
    limits.retryMs = usual;
  }
}
