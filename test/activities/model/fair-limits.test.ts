// Goal: two workers that serve two tenants under one limit run into no refusal of the provider, and each tenant has its weight's share (G12).
// Method: the activity on two pools of the real database, and a provider that enforces a sliding window of six seconds and answers 429 above it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { callModel } from '../../../src/activities/model/call-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import { parseRateLimits } from '../../../src/domain/schemas/rate-limits.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import { type ProviderServer, startProviderServer } from '../../support/provider-server.ts';
import { requestBytes, slidingLimit } from '../../support/sliding-limit.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';
import { admitRelease, openTestStores, randomId, type TestStores } from '../stores/support.ts';

/** Time until estimates have settled and both tenants wait. */
const WARM_MS = 3_000;

/** Measured is until the light tenant has had this much, some ten calls: a busy machine takes longer for it, which changes no share. */
const LIGHT_TOKENS = 1_500;
const MEASURED_MS_MAX = 60_000;
const CALLERS = 8;

describe('two workers and two tenants under one limit', () => {
  let workers: readonly TestStores[];
  let provider: ProviderServer;
  const model = `openai-compatible:fair-${randomBytes(4).toString('hex')}`;
  const agent = testAgent('fair', {
    models: { standard: { id: model, outputTokensMax: 150, contextTokensMax: 10_000 } },
  });
  const heavy = randomId('heavy');
  const light = randomId('light');

  before(async () => {
    workers = await Promise.all([openTestStores(), openTestStores()]);
    provider = await startProviderServer();
    await workers[0]?.rateLimits.setWeight(heavy, 3, 'tests');
  });
  after(async () => {
    await provider.close();
    await Promise.all(workers.map((stores) => stores.close()));
  });

  const dependenciesOf = (stores: TestStores): ActivityDependencies => {
    const env = {
      PERDURE_MODEL_BASE_URL: provider.baseUrl,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
    };
    const parsed = parseRateLimits({ [model]: { tokensPerMinute: 60_000, windowSeconds: 6 } });
    assert.ok(parsed.kind === 'ok');
    return {
      stores,
      agents: new Map([[agent.name, agent]]),
      models: createModels({ env, rehearsals: new Map() }),
      effectiveModelId: (id) => id,
      secret: () => undefined,
      settings: { queuePrefix: 'p', turnsPerExecution: 1, modelTimeoutMs: 10_000, worker: 'w' },
      failpoint: async () => undefined,
      rateLimits: { rules: parsed.value, declaredAt: Date.now(), onThrottled: () => undefined },
    };
  };

  const admit = async (stores: TestStores, tenant: string): Promise<string> => {
    const limits = { costPico: String(10n ** 15n), tokens: 1e9, turns: 9_999, toolCalls: 9, activeMs: 1e9 };
    return admitRelease(
      stores,
      tenant,
      buildRelease(agent, (id) => id),
      { limits },
    );
  };

  /** Calls without end, as the runs of a tenant do: a wait is slept by the one that was told. */
  const keepCalling = async (stores: TestStores, tenant: string, isOver: () => boolean): Promise<void> => {
    const dependencies = dependenciesOf(stores);
    const runId = await admit(stores, tenant);
    const text = `for ${tenant} `.padEnd(200, 'words ');
    const delta = [await stores.transcripts.writePart(tenant, 's', { kind: 'user-text', text })];
    for (let turn = 1; !isOver();) {
      const environment = new MockActivityEnvironment(
        {
          workflowExecution: { workflowId: runId, runId: 'x' },
          scheduledTimestampMs: Date.now(),
          startToCloseTimeoutMs: LIMITS.settleMs + 10_000,
        },
        { logger: new DefaultLogger('ERROR') },
      );
      const result = await environment.run<[], ModelResult, () => Promise<ModelResult>>(async () =>
        callModel(dependencies, { tenant, turn, head: null, delta }),
      );
      const wakesAt = performance.now() + (result.kind === 'throttled' ? result.waitMs : 0);
      if (result.kind !== 'throttled') turn += 1;
      while (performance.now() < wakesAt && !isOver())
        await sleep(Math.max(1, Math.min(100, wakesAt - performance.now())));
    }
  };

  it('are served by their weights, without a refusal, with nearly all of the limit', async () => {
    const limit = slidingLimit(
      { tokens: 6_000, windowMs: 6_000 },
      (request) => ({
        // Few large calls: what counts is the limit, and not how many calls a busy machine makes.
        prompt: Math.ceil(requestBytes(request) / 2),
        reply: 40 + Math.floor(80 * Math.random()),
        delayMs: 50 + 200 * Math.random(),
      }),
      (request) => (JSON.stringify(request.messages).includes(heavy) ? heavy : light),
    );
    provider.always(limit.answer);
    const startedAt = performance.now();
    const [measuredAt, latestAt] = [startedAt + WARM_MS, startedAt + WARM_MS + MEASURED_MS_MAX];
    const isOver = (): boolean => {
      const now = performance.now();
      return now > latestAt || limit.served(light, measuredAt, now) >= LIGHT_TOKENS;
    };
    await Promise.all(
      workers.flatMap((stores) =>
        [heavy, light].flatMap((tenant) => Array.from({ length: CALLERS }, () => keepCalling(stores, tenant, isOver))),
      ),
    );
    const endedAt = performance.now();
    const [a, b] = [heavy, light].map((tenant) => limit.served(tenant, measuredAt, endedAt)) as [number, number];
    assert.equal(limit.refused(), 0, 'refusals');
    assert.ok(limit.most() <= 6_000, `${limit.most()} tokens in a window`);
    assert.ok(limit.burst() <= 600, `a burst of ${limit.burst()} tokens`);
    // Some ten calls of the light tenant: its share is exact to one or two of them. The slow test measures it in three minutes.
    assert.ok(a / b > 2.2 && a / b < 4, `${a} to ${b} tokens`);
    assert.ok(b >= LIGHT_TOKENS, `${a + b} tokens in ${Math.round(endedAt - measuredAt)} ms`);
    if (process.env['PERDURE_TEST_LOG'] !== undefined) {
      console.log({ a, b, ratio: a / b, most: limit.most(), burst: limit.burst(), ms: endedAt - measuredAt });
    }
  }).timeout(90_000);
});
