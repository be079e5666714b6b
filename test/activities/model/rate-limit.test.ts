// Goal: a call asks its provider's limit once for each time that it is really made, is counted by what it used, and says for whom it waited.
// Method: the activity on the real database with scripted models under limits of their own.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { sql } from 'kysely';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { callModel } from '../../../src/activities/model/call-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { scripted, type ScriptedReply } from '../../../src/activities/model/scripted-model.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import type { RateCost, RateLimit } from '../../../src/domain/quota/rate-limit.ts';
import { usedRate } from '../../../src/domain/quota/rate-limiter.ts';
import { NO_USAGE } from '../../../src/domain/model/usage.ts';
import type { CallModelInput } from '../../../src/domain/run/activity-inputs.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import { until } from '../../support/workflow/until.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';
import { admitRelease, openTestStores, type TestStores } from '../stores/support.ts';

const MINUTE: RateLimit = { windowMs: 60_000, requests: 2, tokens: 100_000 };

const choice = (id: string) => ({ id, outputTokensMax: 100, contextTokensMax: 100_000 });

describe('a model call under a rate limit', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  /** A run whose models, of names of their own, are under the limit; `missing` ones cannot be called. */
  const start = async (script: readonly ScriptedReply[], { missing = false, limit = MINUTE, heldMs = 0 } = {}) => {
    const name = `limited-${randomBytes(4).toString('hex')}`;
    const credential = `scripted ${name}`;
    const own = choice(`scripted:${name}`);
    const standard = missing ? { ...choice(`scripted:missing-${name}`), fallbacks: [own] } : own;
    const agent = testAgent(name, { models: { standard } });
    const dependencies: ActivityDependencies = {
      stores,
      agents: new Map([[agent.name, agent]]),
      models: createModels({ env: {}, rehearsals: new Map(), scripts: new Map([[name, scripted(script)]]) }),
      effectiveModelId: (id) => id,
      secret: () => undefined,
      settings: { queuePrefix: 'p', turnsPerExecution: 1, modelTimeoutMs: 1_000, worker: 'w' },
      // The last thing before it asks; the first call finds no limit declared, and so no hold.
      failpoint: async (point) => {
        if (heldMs > 0 && point === 'model:before-reserve')
          await stores.rateLimits.hold(stores.tenant, credential, heldMs);
      },
      rateLimits: {
        rules: [{ subject: `scripted:${name}`, limit }],
        declaredAt: Date.now(),
        onThrottled: () => undefined,
      },
    };
    const limits = { costPico: String(10n ** 12n), tokens: 1_000_000, turns: 9, toolCalls: 9, activeMs: 60_000 };
    const release = buildRelease(agent, (id) => id);
    const runId = await admitRelease(stores, stores.tenant, release, { limits });
    const delta = [await stores.transcripts.writePart(stores.tenant, 's', { kind: 'user-text', text: runId })];
    return {
      runId,
      waiting: async () =>
        stores.db.selectFrom('rate_waiters').select('id').where('credential', '=', credential).execute(),
      ask: async (
        turn: number,
        rest: Partial<CallModelInput> = {},
        begun: (environment: MockActivityEnvironment) => void = () => undefined,
      ): Promise<ModelResult> => {
        const environment = new MockActivityEnvironment(
          {
            workflowExecution: { workflowId: runId, runId: 'x' },
            scheduledTimestampMs: Date.now(),
            startToCloseTimeoutMs: LIMITS.settleMs + 5_000,
          },
          { logger: new DefaultLogger('ERROR') },
        );
        begun(environment);
        const input = { tenant: stores.tenant, turn, head: null, delta, ...rest };
        return environment.run<[], ModelResult, () => Promise<ModelResult>>(async () => callModel(dependencies, input));
      },
      used: async (): Promise<RateCost> => {
        const row = await stores.db
          .selectFrom('rate_limits')
          .select('state')
          .where('credential', '=', credential)
          .executeTakeFirstOrThrow();
        const { rows } = await sql<{ now: number }>`
          select (extract(epoch from clock_timestamp()) * 1000)::double precision as now`.execute(stores.db);
        return usedRate(row.state, limit, rows[0]?.now ?? 0);
      },
    };
  };

  it('gives a reply that an earlier attempt kept at once, where there is no room, and charges nothing for it', async () => {
    const { ask, used } = await start([{ text: 'One.' }, { text: 'Two.' }]);
    const first = await ask(1);
    assert.equal((await ask(2)).kind, 'replied');
    assert.equal((await ask(3)).kind, 'throttled', 'two requests are all that a minute has');
    const again = await ask(1);
    assert.ok(first.kind === 'replied' && again.kind === 'replied');
    assert.deepEqual([again.head, again.answer], [first.head, first.answer]);
    assert.equal((await used()).requests, 2);
  });

  it('writes down for which tier it waited, and in place of which model', async () => {
    const { ask, runId } = await start([{ text: 'One.' }, { text: 'Two.' }], { missing: true });
    for (const turn of [1, 2, 3]) await ask(turn);
    const rows = await stores.db
      .selectFrom('observations')
      .selectAll()
      .where('run_id', '=', runId)
      .orderBy('turn')
      .execute();
    const routes = rows.map(({ outcome, tier, fallback }) => ({ outcome, tier, fallback }));
    assert.deepEqual(
      routes.map(({ outcome }) => outcome),
      ['replied', 'replied', 'throttled'],
    );
    assert.ok(routes[0]?.tier === 'standard' && routes[0].fallback !== null);
    assert.deepEqual({ ...routes[2], outcome: 'replied' }, routes[0]);
  });

  it('counts the tokens of a last answer that was none', async () => {
    const { ask, used } = await start([{ text: '', usage: { ...NO_USAGE, inputTokens: 700, outputTokens: 33 } }]);
    assert.equal((await ask(1, { lastAnswer: 'last-turn' })).kind, 'budget-refused');
    await until('the settlement', async () => ((await used()).tokens === 733 ? true : undefined));
  });

  for (const [who, isKept] of [
    ['worker stops', true],
    ['run is stopped', false],
  ] as const) {
    it(`${isKept ? 'keeps' : 'gives up'} its place in the queue when its ${who} while it waits`, async () => {
      const limit = { windowMs: 1_000, requests: 1_000, tokens: null };
      const { ask, waiting } = await start([{ text: 'One.' }], { limit, heldMs: 900 });
      const details = new ActivityCancellationDetails(isKept ? { workerShutdown: true } : { cancelRequested: true });
      const stop = (environment: MockActivityEnvironment): void =>
        environment.cancel(isKept ? 'WORKER_SHUTDOWN' : 'CANCELLED', details);
      await ask(1);
      await assert.rejects(ask(2, {}, stop));
      assert.equal((await waiting()).length, isKept ? 1 : 0);
    });
  }
});
