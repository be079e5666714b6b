// Goal: a call goes to the first model of its chain that can do it, is charged at that model's price, and blocks only when none is left.
// Method: the activity on the real database with a provider's server that treats each model as a test says, for workers that share breakers.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { chooseRoute } from '../../../src/activities/model/prepare-call.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import type { ModelChoice, ModelPolicy } from '../../../src/authoring/index.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import {
  type Behaviour,
  type ProviderServer,
  rateLimited,
  refusals,
  startProviderServer,
} from '../../support/provider-server.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';
import { openTestStores, randomId, type TestStores } from '../stores/support.ts';
import { compatible, failureOf, model, type RoutedCalls, routedCalls } from './routed-calls.ts';

describe('a model call with fallbacks', () => {
  let stores: TestStores;
  let server: ProviderServer;
  let lab: RoutedCalls;
  /** What the server does with a model, by its name. */
  const behaviours: Record<string, Behaviour> = {};
  const fallbacks: string[] = [];
  /** Of this test alone: breakers are shared by everything on the database. */
  let main: string;
  let spare: string;

  before(async () => {
    stores = await openTestStores();
    server = await startProviderServer();
    lab = routedCalls(stores, server, behaviours, fallbacks);
  });
  after(async () => {
    await server.close();
    await stores.close();
  });
  beforeEach(() => {
    fallbacks.length = 0;
    [main, spare] = [randomId('main'), randomId('spare')];
  });

  const chain = (): ModelPolicy => ({ standard: { ...compatible(main), fallbacks: [compatible(spare)] } });

  it('says which model answered for which tier', async () => {
    const { result } = await lab.ask({ standard: compatible(main), strong: compatible(spare) });
    assert.deepEqual(result.route, { tier: 'standard', id: `openai-compatible:${main}` });
    const asked = await lab.ask({ standard: compatible(main), strong: compatible(spare) }, { tier: 'strong' });
    assert.deepEqual(asked.result.route, { tier: 'strong', id: `openai-compatible:${spare}` });
    const used = await lab.ask({ standard: compatible(main), strong: compatible(spare), use: 'strong' });
    assert.equal(used.result.route?.tier, 'strong');
    const missing = await lab.ask({ standard: compatible(main) }, { tier: 'small' });
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
      const { result, runId } = await lab.ask(chain());
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
      const { failure } = await failureOf((await lab.start(chain())).ask());
      assert.equal(failure.type, cause);
      assert.equal(lab.callsOf(spare), 0);
    });
  }

  it('leaves a model that hangs in time for the next one', async () => {
    behaviours[main] = { kind: 'hang' };
    const { result } = await lab.ask(chain(), { sinceMs: LIMITS.retryMs - 1_000, workMs: 10_000 });
    assert.deepEqual(result.route?.fallback, { from: `openai-compatible:${main}`, why: 'failed' });
    assert.deepEqual([lab.callsOf(main), lab.callsOf(spare)], [1, 1]);
  });

  const atLast: readonly (readonly [string, string, Behaviour])[] = [
    ['fails', 'failed', refusals.serverError],
    ['limits the rate, for however short a time', 'rate-limited', rateLimited(1)],
  ];
  for (const [title, why, behaviour] of atLast) {
    it(`asks the next model when the run would be blocked, and while it is, when the first ${title}`, async () => {
      behaviours[main] = behaviour;
      for (const asked of [{ sinceMs: LIMITS.retryMs }, { patient: true }] as const) {
        const { result } = await lab.ask(chain(), asked);
        assert.equal(result.route?.fallback?.why, why);
      }
    });
  }

  it('does not end a run for what only a model that stands in refuses', async () => {
    behaviours[main] = refusals.unauthorized;
    behaviours[spare] = refusals.badRequest;
    const { failure, detail } = await failureOf((await lab.start(chain())).ask());
    assert.deepEqual([failure.type, detail?.disposition], ['model-authentication', 'mendable']);
    assert.equal(lab.callsOf(spare), 1);
    const third = randomId('third');
    const standard = { ...compatible(main), fallbacks: [compatible(spare), compatible(third)] };
    const { result } = await lab.ask({ standard });
    assert.equal(result.answer?.preview, `I am ${third}.`);
    assert.deepEqual(result.route, {
      tier: 'standard',
      id: `openai-compatible:${third}`,
      fallback: { from: `openai-compatible:${main}`, why: 'authentication' },
      passed: [
        { from: `openai-compatible:${main}`, why: 'authentication' },
        { from: `openai-compatible:${spare}`, why: 'refused' },
      ],
    });
  });

  it('asks the next model when the call is larger than the limit of the first alone', async () => {
    const limit = { windowMs: 60_000, requests: null, tokens: 1 };
    const rules = [{ subject: `openai-compatible:${main}`, limit }];
    const rateLimits = { rules, declaredAt: Date.now(), onThrottled: () => undefined };
    const { result } = await lab.ask(chain(), { on: { ...lab.worker(), rateLimits } });
    assert.equal(result.route?.fallback?.why, 'quota');
    assert.equal(lab.callsOf(main), 0);
    const { failure, detail } = await failureOf(
      (await lab.start({ standard: compatible(main) }, { on: { ...lab.worker(), rateLimits } })).ask(),
    );
    assert.deepEqual([failure.type, detail?.disposition], ['model-quota', 'mendable']);
  });

  it('asks a model once, however often the chain names it', async () => {
    behaviours[main] = refusals.unauthorized;
    const on = lab.worker();
    const agent = testAgent('routed', { models: chain() });
    const release = buildRelease(agent, () => `openai-compatible:${main}`);
    const { routes } = await chooseRoute({ models: on.models } as ActivityDependencies, release, { isNearCap: false });
    assert.deepEqual(routes.left, []);
  });

  it('does not ask a model again before the time that it named, whoever else is back sooner', async () => {
    await lab.open(spare);
    behaviours[main] = rateLimited(30);
    const { failure } = await failureOf((await lab.start(chain(), { patient: true })).ask());
    assert.equal(failure.nonRetryable, false);
    assert.ok(Number(failure.nextRetryDelay) >= 30_000, String(failure.nextRetryDelay));
  });

  it('blocks with what the first model failed with when no other can do it either', async () => {
    behaviours[main] = refusals.unauthorized;
    behaviours[spare] = refusals.quotaExhausted;
    const { failure, detail } = await failureOf((await lab.start(chain())).ask());
    assert.deepEqual(
      [failure.type, detail?.disposition, failure.nonRetryable],
      ['model-authentication', 'mendable', true],
    );
    assert.deepEqual([lab.callsOf(main), lab.callsOf(spare)], [1, 1]);
  });

  it('passes over a model that this worker cannot call', async () => {
    const policy = { standard: { ...model('anthropic:claude'), fallbacks: [compatible(spare)] } };
    const { result } = await lab.ask(policy);
    assert.deepEqual(result.route?.fallback, { from: 'anthropic:claude', why: 'authentication' });
  });

  it('leaves a model alone that failed at another worker, and makes no call of it', async () => {
    await lab.open(main);
    const { result } = await lab.ask(chain());
    assert.equal(lab.callsOf(main), 5);
    assert.deepEqual(result.route?.fallback, { from: `openai-compatible:${main}`, why: 'breaker-open' });
  });

  const notToldOf: readonly (readonly [string, Behaviour])[] = [
    ['refuses the request', refusals.badRequest],
    ['limits the rate', rateLimited(0)],
    ['refuses the key', refusals.unauthorized],
    [
      'wrote a call that its provider cannot read',
      {
        kind: 'status',
        status: 400,
        body: { error: { message: 'Failed to call a function.', code: 'tool_use_failed' } },
      },
    ],
  ];
  for (const [title, behaviour] of notToldOf) {
    it(`does not leave a model alone that ${title}`, async () => {
      const on = lab.worker();
      behaviours[main] = behaviour;
      for (let call = 0; call < 6; call += 1)
        await failureOf((await lab.start({ standard: compatible(main) }, { on })).ask());
      assert.equal(lab.callsOf(main), 6);
      const [record] = (await stores.breakers.list()).filter(({ model: id }) => id.endsWith(main));
      assert.deepEqual([record?.status, record?.failures], ['closed', 0]);
    });
  }

  it('waits for a model that is left alone when there is no other, and says until when', async () => {
    await lab.open(main);
    const { ask: attempt } = await lab.start({ standard: compatible(main) });
    const { failure, detail } = await failureOf(attempt());
    assert.equal(lab.callsOf(main), 5);
    assert.deepEqual([failure.type, detail?.disposition, failure.nonRetryable], ['model-error', 'transient', false]);
    assert.match(
      failure.message,
      new RegExp(`openai-compatible:${main} failed too often and is left alone until [0-9:]{8} UTC`),
    );
    const delay = Number(failure.nextRetryDelay);
    // The breaker opens for 5 s, and a tenth of it is added at most.
    assert.ok(delay > 200 && delay <= 5_500, `waits ${delay} ms`);
  });

  it('asks again no later than the run has to say that it is blocked', async () => {
    await lab.open(main);
    const early = await failureOf(
      (await lab.start({ standard: compatible(main) }, { sinceMs: LIMITS.retryMs - 500 })).ask(),
    );
    assert.ok(Number(early.failure.nextRetryDelay) <= 500);
    const late = await failureOf(
      (await lab.start({ standard: compatible(main) }, { sinceMs: LIMITS.retryMs + 1 })).ask(),
    );
    assert.equal(late.failure.nonRetryable, true);
    const patient = await lab.start({ standard: compatible(main) }, { sinceMs: LIMITS.retryMs + 1, patient: true });
    const waiting = await failureOf(patient.ask());
    assert.ok(waiting.failure.nonRetryable === false && Number(waiting.failure.nextRetryDelay) > 200);
  });

  it('goes on waiting when the model that stands in cannot hold the prompt', async () => {
    await lab.open(main);
    const standard = { ...compatible(main), fallbacks: [compatible(spare, { contextTokensMax: 200 })] };
    const { failure } = await failureOf((await lab.start({ standard }, { text: 'x'.repeat(5_000) })).ask());
    assert.match(failure.message, new RegExp(`${spare} cannot be used for this call \\(too-long\\)`));
    assert.equal(lab.callsOf(spare), 0);
    behaviours[spare] = refusals.contextTooLong;
    const told = await failureOf((await lab.start(chain())).ask());
    assert.equal(told.failure.nonRetryable, false);
    assert.equal(lab.callsOf(spare), 1);
  });

  it('goes on waiting when the model that stands in is too dear for the run', async () => {
    await lab.open(main);
    const standard = { ...compatible(main), fallbacks: [compatible(spare, { outputTokensMax: 2_000_000 })] };
    const { failure } = await failureOf((await lab.start({ standard })).ask());
    assert.match(failure.message, /\(budget\)/);
    assert.equal(lab.callsOf(spare), 0);
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
    const { runId } = await lab.ask({ standard }, { on: lab.worker(env) });
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
    const { models } = lab.worker({ OPENAI_API_KEY: 'sk-test', PERDURE_MODEL_CEILING_USD_PER_MTOK: '' });
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
    const on = lab.worker({}, 1);
    // One is at work and one in the queue; both end with the test.
    for (const _ of [1, 2]) void (await lab.start({ standard: compatible(main) }, { on })).ask().catch(() => undefined);
    while (lab.callsOf(main) === 0) await sleep(20);
    const { result } = await lab.ask(chain(), { on });
    assert.equal(result.route?.fallback?.why, 'busy');
    const { failure } = await failureOf((await lab.start({ standard: compatible(main) }, { on })).ask());
    assert.deepEqual([failure.type, failure.nonRetryable], ['model-rate-limited', false]);
    assert.ok(Number(failure.nextRetryDelay) < 5_000);
    assert.equal(lab.callsOf(main), 1);
  });
});
