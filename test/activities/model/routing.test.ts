// Goal: a call goes to the first model of its chain that can do it, is charged at that model's price, and blocks only when none is left.
// Method: the activity on the real database with a provider's server that treats each model as a test says, for workers that share breakers.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { callModel } from '../../../src/activities/model/call-model.ts';
import { chooseRoute } from '../../../src/activities/model/prepare-call.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { createRouting, type Routing } from '../../../src/activities/model/routing/create-routing.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import type { Agent, ModelChoice, ModelPolicy } from '../../../src/authoring/index.ts';
import type { Tier } from '../../../src/domain/model/model-policy.ts';
import type { FailureDetail } from '../../../src/domain/run/cause.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import {
  type Behaviour,
  type ProviderServer,
  rateLimited,
  refusals,
  startProviderServer,
} from '../../support/provider-server.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';
import { admitRelease, openTestStores, randomId, type TestStores } from '../stores/support.ts';

const model = (id: string, rest: Partial<ModelChoice> = {}): ModelChoice => ({
  id,
  outputTokensMax: 100,
  contextTokensMax: 100_000,
  ...rest,
});

const compatible = (name: string, rest: Partial<ModelChoice> = {}) => model(`openai-compatible:${name}`, rest);

const failureOf = async (work: Promise<unknown>) => {
  const failure = (await work.then(
    () => assert.fail('it gave a result'),
    (error: unknown) => error,
  )) as ApplicationFailure;
  return { failure, detail: failure.details?.[0] as FailureDetail | undefined };
};

describe('a model call with fallbacks', () => {
  let stores: TestStores;
  let server: ProviderServer;
  /** What the server does with a model, by its name. */
  let behaviours: Record<string, Behaviour>;
  let fallbacks: string[];
  /** Of this test alone: breakers are shared by everything on the database. */
  let main: string;
  let spare: string;

  before(async () => {
    stores = await openTestStores();
    server = await startProviderServer();
    server.always(({ model: name }) => behaviours[name] ?? { kind: 'reply', text: `I am ${name}.` });
  });
  after(async () => {
    await server.close();
    await stores.close();
  });
  beforeEach(() => {
    behaviours = {};
    fallbacks = [];
    [main, spare] = [randomId('main'), randomId('spare')];
  });

  const chain = (): ModelPolicy => ({ standard: { ...compatible(main), fallbacks: [compatible(spare)] } });
  const callsOf = (name: string): number => server.ledger.filter((entry) => entry.model === name).length;

  const worker = (env: Record<string, string> = {}, callsMax = 10) => {
    const given = { PERDURE_MODEL_BASE_URL: server.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1', ...env };
    const routing = createRouting({
      breakers: stores.breakers,
      callsMax,
      onBreaker: () => undefined,
      onFallback: (_agent, { from, why }) => fallbacks.push(`${why} ${from.split(':')[1]}`),
    });
    return { models: createModels({ env: given, rehearsals: new Map() }), routing };
  };

  const dependenciesOf = (
    agent: Agent,
    { models, routing }: { models: ActivityDependencies['models']; routing: Routing },
  ): ActivityDependencies => ({
    stores,
    agents: new Map([[agent.name, agent]]),
    models,
    routing,
    effectiveModelId: (id) => id,
    secret: () => undefined,
    settings: { queuePrefix: 'p', turnsPerExecution: 1, modelTimeoutMs: 1_000, worker: 'w' },
    failpoint: async () => undefined,
  });

  const admit = async (agent: Agent, costPico: bigint): Promise<string> => {
    const limits = { costPico: String(costPico), tokens: 1_000_000, turns: 9, toolCalls: 9, activeMs: 60_000 };
    return admitRelease(
      stores,
      stores.tenant,
      buildRelease(agent, (id) => id),
      { limits },
    );
  };

  type Asked = {
    readonly on?: ReturnType<typeof worker>;
    readonly text?: string;
    readonly costPico?: bigint;
    readonly tier?: Tier;
    readonly patient?: true;
    readonly sinceMs?: number;
  };
  const start = async (models: ModelPolicy, asked: Asked = {}) => {
    const { on = worker(), text = 'Who are you?', costPico = 10n ** 12n, sinceMs = 0, tier, patient } = asked;
    const agent = testAgent('routed', { models });
    const runId = await admit(agent, costPico);
    const delta = [await stores.transcripts.writePart(stores.tenant, 's', { kind: 'user-text', text })];
    const ask = async (): Promise<ModelResult> => {
      const environment = new MockActivityEnvironment(
        {
          workflowExecution: { workflowId: runId, runId: 'x' },
          scheduledTimestampMs: Date.now() - sinceMs,
          startToCloseTimeoutMs: LIMITS.settleMs + 20_000,
        },
        { logger: new DefaultLogger('ERROR') },
      );
      const input = {
        tenant: stores.tenant,
        turn: 1,
        head: null,
        delta,
        ...(tier === undefined ? {} : { tier }),
        ...(patient === undefined ? {} : { patient }),
      };
      return environment.run<[], ModelResult, () => Promise<ModelResult>>(async () =>
        callModel(dependenciesOf(agent, on), input),
      );
    };
    return { runId, ask };
  };
  const ask = async (models: ModelPolicy, asked: Asked = {}) => {
    const started = await start(models, asked);
    const result = await started.ask();
    return result.kind === 'replied' ? { ...started, result } : assert.fail(`it gave ${result.kind}`);
  };
  /** Fails a model until its breaker is open. */
  const open = async (name: string, on = worker()): Promise<void> => {
    behaviours[name] = refusals.serverError;
    const { ask: attempt } = await start({ standard: compatible(name) }, { on });
    for (let call = 0; call < 5; call += 1) await failureOf(attempt());
  };

  it('says which model answered for which tier', async () => {
    const { result } = await ask({ standard: compatible(main), strong: compatible(spare) });
    assert.deepEqual(result.route, { tier: 'standard', id: `openai-compatible:${main}` });
    const asked = await ask({ standard: compatible(main), strong: compatible(spare) }, { tier: 'strong' });
    assert.deepEqual(asked.result.route, { tier: 'strong', id: `openai-compatible:${spare}` });
    const used = await ask({ standard: compatible(main), strong: compatible(spare), use: 'strong' });
    assert.equal(used.result.route?.tier, 'strong');
    const missing = await ask({ standard: compatible(main) }, { tier: 'small' });
    assert.equal(missing.result.route?.tier, 'standard');
  });

  const elsewhere: readonly (readonly [string, string, Behaviour])[] = [
    ['is not found', 'not-found', { kind: 'status', status: 404, body: { error: { message: 'no such model' } } }],
    ['refuses the key', 'authentication', refusals.unauthorized],
    ['has no quota left', 'quota', refusals.quotaExhausted],
    ['limits the rate for longer than a run waits', 'rate-limited', rateLimited(120)],
  ];
  for (const [title, why, behaviour] of elsewhere) {
    it(`asks the next model at once when the first ${title}`, async () => {
      behaviours[main] = behaviour;
      const { result, runId } = await ask(chain());
      assert.equal(result.answer?.preview, `I am ${spare}.`);
      assert.deepEqual(result.route, {
        tier: 'standard',
        id: `openai-compatible:${spare}`,
        fallback: { from: `openai-compatible:${main}`, why },
      });
      assert.deepEqual(fallbacks, [`${why} ${main}`]);
      const rows = await stores.db
        .selectFrom('observations')
        .select(['name', 'outcome', 'tier', 'fallback'])
        .where('run_id', '=', runId)
        .orderBy('opened_at')
        .execute();
      assert.deepEqual(
        rows.map(({ name, outcome, tier, fallback }) => [name, outcome, tier, fallback]),
        [
          [`openai-compatible:${main}`, 'failed', 'standard', null],
          [`openai-compatible:${spare}`, 'replied', 'standard', `${why} openai-compatible:${main}`],
        ],
      );
    });
  }

  const here: readonly (readonly [string, Behaviour, string])[] = [
    [
      'refuses the content',
      { kind: 'status', status: 400, body: { error: { message: 'content policy', code: 'content_filter' } } },
      'guardrail-block',
    ],
    ['refuses the request', refusals.badRequest, 'validation'],
    ['limits the rate for a moment', rateLimited(3), 'model-rate-limited'],
    ['fails', refusals.serverError, 'model-error'],
  ];
  for (const [title, behaviour, cause] of here) {
    it(`asks nobody else when the first model ${title}`, async () => {
      behaviours[main] = behaviour;
      const { failure } = await failureOf((await start(chain())).ask());
      assert.equal(failure.type, cause);
      assert.equal(callsOf(spare), 0);
    });
  }

  it('blocks with what the first model failed with when no other can do it either', async () => {
    behaviours[main] = refusals.unauthorized;
    behaviours[spare] = refusals.quotaExhausted;
    const { failure, detail } = await failureOf((await start(chain())).ask());
    assert.deepEqual(
      [failure.type, detail?.disposition, failure.nonRetryable],
      ['model-authentication', 'mendable', true],
    );
    assert.deepEqual([callsOf(main), callsOf(spare)], [1, 1]);
  });

  it('passes over a model that this worker cannot call', async () => {
    const policy = { standard: { ...model('anthropic:claude'), fallbacks: [compatible(spare)] } };
    const { result } = await ask(policy);
    assert.deepEqual(result.route?.fallback, { from: 'anthropic:claude', why: 'authentication' });
  });

  it('leaves a model alone that failed at another worker, and makes no call of it', async () => {
    await open(main);
    const { result } = await ask(chain());
    assert.equal(callsOf(main), 5);
    assert.deepEqual(result.route?.fallback, { from: `openai-compatible:${main}`, why: 'breaker-open' });
  });

  it('waits for a model that is left alone when there is no other, and says until when', async () => {
    await open(main);
    const { ask: attempt } = await start({ standard: compatible(main) });
    const { failure, detail } = await failureOf(attempt());
    assert.equal(callsOf(main), 5);
    assert.deepEqual([failure.type, detail?.disposition, failure.nonRetryable], ['model-error', 'transient', false]);
    assert.match(
      failure.message,
      new RegExp(`openai-compatible:${main} failed too often and is left alone until [0-9:]{8} UTC`),
    );
    const delay = Number(failure.nextRetryDelay);
    assert.ok(delay > 200 && delay <= 5_000, `waits ${delay} ms`);
  });

  it('asks again no later than the run has to say that it is blocked', async () => {
    await open(main);
    const early = await failureOf(
      (await start({ standard: compatible(main) }, { sinceMs: LIMITS.retryMs - 500 })).ask(),
    );
    assert.ok(Number(early.failure.nextRetryDelay) <= 500);
    const late = await failureOf((await start({ standard: compatible(main) }, { sinceMs: LIMITS.retryMs + 1 })).ask());
    assert.equal(late.failure.nonRetryable, true);
    const patient = await start({ standard: compatible(main) }, { sinceMs: LIMITS.retryMs + 1, patient: true });
    const waiting = await failureOf(patient.ask());
    assert.ok(waiting.failure.nonRetryable === false && Number(waiting.failure.nextRetryDelay) > 200);
  });

  it('goes on waiting when the model that stands in cannot hold the prompt', async () => {
    await open(main);
    const standard = { ...compatible(main), fallbacks: [compatible(spare, { contextTokensMax: 200 })] };
    const { failure } = await failureOf((await start({ standard }, { text: 'x'.repeat(5_000) })).ask());
    assert.match(failure.message, new RegExp(`${spare} cannot be used for this call \\(too-long\\)`));
    assert.equal(callsOf(spare), 0);
    behaviours[spare] = refusals.contextTooLong;
    const told = await failureOf((await start(chain())).ask());
    assert.equal(told.failure.nonRetryable, false);
    assert.equal(callsOf(spare), 1);
  });

  it('goes on waiting when the model that stands in is too dear for the run', async () => {
    await open(main);
    const standard = { ...compatible(main), fallbacks: [compatible(spare, { outputTokensMax: 2_000_000 })] };
    const { failure } = await failureOf((await start({ standard })).ask());
    assert.match(failure.message, /\(budget\)/);
    assert.equal(callsOf(spare), 0);
  });

  it('reserves and charges at the price of the model that answers', async () => {
    const env = { OPENAI_API_KEY: 'sk-test', PERDURE_MODEL_CEILING_USD_PER_MTOK: '' };
    const standard = { ...model('openai:gpt-4o'), fallbacks: [model('openai:gpt-4o-mini')] };
    behaviours['gpt-4o'] = refusals.unauthorized;
    behaviours['gpt-4o-mini'] = {
      kind: 'reply',
      text: 'ok',
      usage: { prompt_tokens: 1_000, completion_tokens: 100 },
    };
    const { runId } = await ask({ standard }, { on: worker(env) });
    const rows = await stores.db
      .selectFrom('budget_reservations')
      .select(['worst_pico', 'actual_pico', 'state'])
      .where('run_id', '=', runId)
      .orderBy('opened_at')
      .execute();
    assert.deepEqual(
      rows.map(({ state }) => state),
      ['released', 'settled'],
    );
    // 1,000 tokens at 0.15 USD a million, 100 at 0.60.
    assert.equal(rows[1]?.actual_pico, String(1_000 * 150_000 + 100 * 600_000));
    assert.ok(BigInt(rows[0]?.worst_pico ?? 0) > 10n * BigInt(rows[1]?.worst_pico ?? 0));
  });

  it('prefers a cheaper tier near the cap, and never a dearer one', async () => {
    const { models } = worker({ OPENAI_API_KEY: 'sk-test', PERDURE_MODEL_CEILING_USD_PER_MTOK: '' });
    const routeOf = async (policy: ModelPolicy, isNearCap: boolean) => {
      const release = buildRelease(testAgent('routed', { models: policy }), (id) => id);
      const dependencies = { models } as ActivityDependencies;
      const { tier, fallback } = await chooseRoute(dependencies, release, { isNearCap });
      return [tier, fallback?.why ?? null];
    };
    const [cheap, usual, dear] = ['openai:gpt-5-nano', 'openai:gpt-5-mini', 'openai:gpt-5-pro'].map((id) =>
      model(id),
    ) as [ModelChoice, ModelChoice, ModelChoice];
    assert.deepEqual(await routeOf({ small: cheap, standard: usual, strong: dear }, true), ['small', 'near-cap']);
    assert.deepEqual(await routeOf({ small: cheap, standard: usual, strong: dear }, false), ['standard', null]);
    assert.deepEqual(await routeOf({ small: dear, standard: usual }, true), ['standard', null]);
    assert.deepEqual(await routeOf({ standard: usual, strong: dear, use: 'strong' }, true), ['standard', 'near-cap']);
    // Cheaper to read and dearer to write: that depends on the call, so it is not preferred.
    const mixed = [model('openai:gpt-5.4-mini'), model('openai:o4-mini')] as [ModelChoice, ModelChoice];
    assert.deepEqual(await routeOf({ small: mixed[0], standard: mixed[1] }, true), ['standard', null]);
  });

  it('asks the next model when no place comes free, and tries again soon when there is none', async () => {
    behaviours[main] = { kind: 'hang' };
    const on = worker({}, 1);
    // One is at work and one in the queue; both end with the test.
    for (const _ of [1, 2]) void (await start({ standard: compatible(main) }, { on })).ask().catch(() => undefined);
    while (callsOf(main) === 0) await sleep(20);
    const { result } = await ask(chain(), { on });
    assert.equal(result.route?.fallback?.why, 'busy');
    const { failure } = await failureOf((await start({ standard: compatible(main) }, { on })).ask());
    assert.deepEqual([failure.type, failure.nonRetryable], ['model-rate-limited', false]);
    assert.ok(Number(failure.nextRetryDelay) < 5_000);
    assert.equal(callsOf(main), 1);
  });
});
