// Goal: a provider's tokens per minute are shared by two worker processes and two tenants by weight, without one refusal (G12).
// Method: real Temporal, two worker processes, runs of two tenants that never cease, and a provider with a sliding window of a minute that answers 429.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import type { RunEnd } from '../../src/domain/run/run-end.ts';
import type { RunStart } from '../../src/domain/run/start.ts';
import { hashId } from '../../src/domain/sha-256.ts';
import { type Lab, openLab } from '../support/crash/lab.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers, type TestServers } from '../support/servers.ts';
import { requestBytes, slidingLimit } from '../support/sliding-limit.ts';

const TOKENS_PER_MINUTE = 60_000;

/** Until estimates have settled, the first burst has left the window, and both tenants wait. */
const WARM_MS = 45_000;
const MEASURED_MS = 120_000;

/** Time in which the light tenant is alone, and how soon it has all. */
const ALONE_MS = 75_000;
const SOON_MS = 15_000;

/** Runs that each tenant keeps open. */
const RUNS = 12;

const DAY_MS = 24 * 60 * 60 * 1000;

describe('a saturated provider', function () {
  this.timeout(WARM_MS + MEASURED_MS + ALONE_MS + 120_000);
  let servers: TestServers;
  let lab: Lab;
  let provider: ProviderServer;
  const id = randomBytes(4).toString('hex');
  const [heavy, light] = [`heavy-${id}`, `light-${id}`] as const;

  before(async () => {
    servers = await startTestServers();
    lab = await openLab(servers);
    provider = await startProviderServer();
  });
  after(async () => {
    await lab.close();
    await provider.close();
  });

  it('serves two tenants by their weights from two processes, refuses nothing, and gives the whole to one that is alone', async () => {
    const limit = slidingLimit(
      { tokens: TOKENS_PER_MINUTE, windowMs: 60_000 },
      (request) => ({
        prompt: Math.ceil(requestBytes(request) / 4),
        reply: 50 + Math.floor(250 * Math.random()),
        delayMs: 300 + 1_500 * Math.random(),
      }),
      (request) => (JSON.stringify(request.messages).includes(heavy) ? heavy : light),
    );
    provider.always(limit.answer);
    await lab.stores.rateLimits.setWeight(heavy, 3, 'tests');
    const model = `openai-compatible:fair-${id}`;
    const group = lab.group('fair');
    const env = {
      PERDURE_MODEL: model,
      PERDURE_MODEL_BASE_URL: provider.baseUrl,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
      PERDURE_MODEL_LIMITS: JSON.stringify({ 'openai-compatible': { tokensPerMinute: TOKENS_PER_MINUTE } }),
    };
    const workers = [group.worker('', env), group.worker('', env)];
    await Promise.all(workers.map(({ ready }) => ready));
    const connection = connectLocally(servers.temporal.address);
    const client = new Client({ connection, namespace: servers.temporal.namespace });
    const start = runStarter(client, `${group.prefix}-agents`);

    const startedAt = performance.now();
    const [measuredAt, endsAt] = [startedAt + WARM_MS, startedAt + WARM_MS + MEASURED_MS];
    const ends: RunEnd[] = [];
    const keepRunning = async (tenant: string, untilMs: number): Promise<void> => {
      while (performance.now() < untilMs) ends.push(await start(tenant));
    };
    const aloneUntil = endsAt + ALONE_MS;
    const running = Array.from({ length: RUNS }, async () =>
      Promise.all([keepRunning(heavy, endsAt), keepRunning(light, aloneUntil)]),
    );
    // Shares mean something only while both always ask for more: each has calls that wait, whenever one looks.
    let [looks, idle] = [0, 0];
    await sleep(measuredAt - performance.now());
    while (performance.now() < endsAt) {
      const waiting = await lab.stores.db.selectFrom('rate_waiters').select('tenant').distinct().execute();
      const tenants = waiting.map(({ tenant }) => tenant);
      looks += 1;
      if (!tenants.includes(heavy) || !tenants.includes(light)) idle += 1;
      await sleep(1_000);
    }
    await sleep(aloneUntil - performance.now());
    const alone = (limit.served(light, endsAt + SOON_MS, aloneUntil) * 60_000) / (ALONE_MS - SOON_MS);
    const [a, b] = [heavy, light].map((tenant) => limit.served(tenant, measuredAt, endsAt)) as [number, number];
    const perMinute = ((a + b) * 60_000) / MEASURED_MS;
    console.log(
      `      heavy ${a}, light ${b}, ratio ${(a / b).toFixed(2)}, ${Math.round(perMinute)} tokens a minute, most in a minute ${limit.most()}, burst ${Math.round(limit.burst())}, one of them idle in ${idle} of ${looks} looks, refusals ${limit.refused()}; light alone ${Math.round(alone)} a minute`,
    );
    await Promise.all(running);
    assert.ok(ends.every(({ outcome }) => outcome.kind === 'completed'));
    assert.equal(limit.refused(), 0);
    assert.ok(limit.most() <= TOKENS_PER_MINUTE);
    assert.ok(limit.burst() <= TOKENS_PER_MINUTE / 10, `a burst of ${limit.burst()} tokens`);
    assert.ok(idle <= looks / 50, `a tenant had no call waiting in ${idle} of ${looks} looks`);
    assert.ok(Math.abs(a / b / 3 - 1) < 0.1, `${a} to ${b} tokens`);
    assert.ok(perMinute > 0.75 * TOKENS_PER_MINUTE, `${perMinute} tokens a minute`);
    assert.ok(alone > 0.75 * TOKENS_PER_MINUTE, `${alone} tokens a minute of one that is alone`);
    await connection.close();
    await group.close();
  });
});

/** Starts a run of one call for a tenant, and waits for its end. */
function runStarter(client: Client, taskQueue: string): (tenant: string) => Promise<RunEnd> {
  return async (tenant) => {
    const startKey = randomBytes(6).toString('hex');
    const start: RunStart = {
      tenant,
      principal: 'tests',
      agent: 'crash',
      input: `Answer ${tenant}. `.padEnd(500 + Math.floor(2_000 * Math.random()), 'words '),
      startKey,
      kind: 'single',
      mode: 'live',
      deadlineAt: Date.now() + DAY_MS,
      whenExhausted: 'end',
    };
    return client.workflow.execute<(given: RunStart) => Promise<RunEnd>>('agentRun', {
      args: [start],
      taskQueue,
      workflowId: hashId(tenant, start.kind, startKey),
      workflowTaskTimeout: '2s',
    });
  };
}
