// Goal: a call that the provider's rate has no room for is a wait of the run: durable, visible, no work, and open for what people say.
// Method: scripted models and a provider of our own under limits of a few requests in some seconds, on the real Temporal and PostgreSQL.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { findIdleRuns } from '../../src/stores/idle-runs.ts';
import { capturedCli, type Ended } from '../cli/captured-cli.ts';
import { type ProviderServer, rateLimited, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';
import { activitiesOf, readHistory, timersOf } from '../support/workflow/history.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import { signal, stateOf, untilPhase, update } from '../support/workflow/talk.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';
import { usageQuery } from '../../src/workflows/agent-run.messages.ts';

/** Limits are shared by all who use a database, so that each model of these tests has a name of its own. */
const id = randomBytes(4).toString('hex');

/** Two requests in four seconds: the third waits about five, as a window is counted a second longer. */
const TWO = { requestsPerMinute: 30, windowSeconds: 4 };

const lookups = (turns: number) =>
  scripted(({ parts }) => {
    const results = parts.filter((part) => part.kind === 'tool-result').length;
    return results < turns ? { toolCalls: [{ tool: 'lookup', input: { id: `${results}` } }] } : { text: 'Done.' };
  });
const agent = (name: string, model = `scripted:${name}`) =>
  testAgent(name, {
    tools: [lookupTool('lookup')],
    models: { standard: { id: model, outputTokensMax: 100, contextTokensMax: 100_000 } },
  });
const untilThrottled = async (handle: RunHandle) =>
  until('the wait', async () => (await stateOf(handle)).throttle ?? undefined);

describe('a throttled run', () => {
  let platform: Platform;
  let provider: ProviderServer;
  const names = ['waiting', 'talked-to', 'stopped'].map((name) => `${name}-${id}`);
  const refusing = agent(`refusing-${id}`, `openai-compatible:refusing-${id}`);

  let compacting: Promise<RunHandle>;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;
  const compactor = testAgent(`compacting-${id}`, {
    tools: [lookupTool('lookup')],
    models: { standard: { id: `scripted:compacting-${id}`, outputTokensMax: 200, contextTokensMax: 1_400 } },
  });
  /** Three long lookups, of which the last ones do not fit beside the first. */
  const longLookups = scripted(({ parts, tools }) => {
    if (tools.length === 0) return { text: 'Two lookups.' };
    const last = parts.findLast((part) => part.kind === 'tool-call');
    const turn = Number(/^t(\d+)/.exec(last?.kind === 'tool-call' ? last.toolCallId : 't0')?.[1]);
    const input = { id: `${turn} `.padEnd(600, 'x') };
    return turn < 3 ? { toolCalls: [{ tool: 'lookup', input }] } : { text: 'Enough.' };
  });

  before(async () => {
    provider = await startProviderServer();
    const limits = {
      ...Object.fromEntries(names.map((name) => [`scripted:${name}`, TWO])),
      [`openai-compatible:refusing-${id}`]: { requestsPerMinute: 6_000 },
      [`scripted:tiny-${id}`]: { tokensPerMinute: 100 },
      [`scripted:compacting-${id}`]: { requestsPerMinute: 60, windowSeconds: 1 },
    };
    platform = await startPlatform({
      agents: [...names.map((name) => agent(name)), refusing, agent(`tiny-${id}`), compactor],
      scripts: {
        ...Object.fromEntries(names.map((name) => [name, lookups(2)])),
        [`tiny-${id}`]: lookups(0),
        [`compacting-${id}`]: longLookups,
      },
      env: {
        PERDURE_MODEL_LIMITS: JSON.stringify(limits),
        PERDURE_MODEL_BASE_URL: provider.baseUrl,
        PERDURE_MODEL_API_KEY: 'any',
        PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
      },
    });
    const { temporal, postgres } = await startTestServers();
    perdure = capturedCli({
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
      PERDURE_QUEUE_PREFIX: platform.queuePrefix,
    });
    // It takes the longest, so that it goes on beside the other tests.
    compacting = start('compacting');
  });
  after(async () => {
    await platform.close();
    await provider.close();
  });

  const start = async (name: string): Promise<RunHandle> => platform.start(`${name}-${id}`, 'Look.');
  it('waits with a timer, says for what, fails nothing, and counts the wait as no work', async () => {
    const handle = await start('waiting');
    const { limit } = await untilThrottled(handle);
    assert.equal(limit, `requests per minute of scripted:waiting-${id}`);
    assert.equal((await stateOf(handle)).phase, 'running');
    const shown = await perdure('run', 'show', handle.workflowId);
    assert.match(shown.out, new RegExp(`Waits for the requests per minute of scripted:waiting-${id}; asks again at`));
    const idle = { modelQueue: `${platform.queuePrefix}-models`, idleMs: 0, limit: 50 };
    const { runs } = await findIdleRuns(platform.db, platform.tenant, idle);
    assert.ok(!runs.some((run) => run.id === handle.workflowId), 'a run that waits its turn is not stuck');
    const startedAt = Date.now();
    const { outcome, turns } = await handle.result();
    assert.deepEqual([outcome.kind, turns], ['completed', 3]);
    const events = await readHistory(platform, handle);
    const waits = timersOf(events).filter((summary) => summary.includes('waits for the requests per minute'));
    assert.ok(waits.length >= 1 && waits.length <= 6, waits.join('\n'));
    assert.match(waits[0] ?? '', /^turn 3: waits for the requests per minute of scripted:waiting/);
    assert.equal(events.filter((event) => event.activityTaskFailedEventAttributes).length, 0);
    const rows = await platform.db
      .selectFrom('observations')
      .select(['outcome', 'message', 'closed_at', 'tier'])
      .where('run_id', '=', handle.workflowId)
      .where('outcome', '=', 'throttled')
      .execute();
    assert.equal(rows.length, waits.length);
    assert.ok(rows.every(({ message, closed_at }) => message?.startsWith('waits for the requests') && closed_at));
    assert.ok(rows.every(({ tier }) => tier === 'standard'));
    const { activeMs } = await handle.query(usageQuery);
    assert.ok(activeMs < Date.now() - startedAt + 1_000 && activeMs < 3_000, `${activeMs} ms of work`);
    const left = platform.db.selectFrom('rate_waiters').select('id').where('run_id', '=', handle.workflowId);
    assert.deepEqual(await left.execute(), []);
  });

  it('hears what is said meanwhile, pauses and goes on, becomes no longer by it, and asks at once on a retry', async () => {
    const handle = await start('talked-to');
    const { untilAt } = await untilThrottled(handle);
    await signal(handle, 'steer', { text: 'Be quick.' });
    await until('the guidance', async () => (await stateOf(handle)).waitingMessages === 0);
    assert.equal((await stateOf(handle)).throttle?.untilAt, untilAt);
    await update(handle, 'pause', {});
    await untilPhase(handle, 'paused');
    await update(handle, 'resume', {});
    await untilPhase(handle, 'running');
    await update(handle, 'retry', {});
    assert.equal((await handle.result()).outcome.kind, 'completed');
  });

  it('ends at once when it is stopped, and keeps no place in the queue', async () => {
    const handle = await start('stopped');
    await untilThrottled(handle);
    await update(handle, 'requestStop', { reason: 'enough' });
    assert.deepEqual((await handle.result()).outcome, { kind: 'cancelled', reason: 'enough' });
    const left = platform.db.selectFrom('rate_waiters').select('id').where('run_id', '=', handle.workflowId);
    assert.deepEqual(await left.execute(), []);
  });

  it('keeps every worker from a provider that has refused one for its rate', async () => {
    provider.next(rateLimited(2));
    const first = await start('refusing');
    await until('the refusal', async () => provider.ledger.length === 1);
    const refusedAt = Date.now();
    const asked: number[] = [];
    provider.always(() => {
      asked.push(Date.now() - refusedAt);
      return { kind: 'reply', text: 'ok' };
    });
    // The refusal is noted once its reply has been read.
    await until('the hold', async () => {
      const limits = platform.db
        .selectFrom('rate_limits')
        .select('state')
        .where('credential', 'like', `%refusing-${id}`);
      const tat = (await limits.executeTakeFirst())?.state.buckets.requests?.tat ?? 0;
      return tat > refusedAt + 1_000;
    });
    const second = await start('refusing');
    const ends = await Promise.all([first.result(), second.result()]);
    assert.deepEqual(
      ends.map(({ outcome }) => outcome.kind),
      ['completed', 'completed'],
    );
    assert.equal(asked.length, 2);
    assert.ok(Math.min(...asked) > 1_500, `asked again after ${asked.join(' and ')} ms`);
  });

  it('is blocked, and says how to mend it, when a call alone is more than the limit', async () => {
    const handle = await platform.start(`tiny-${id}`, 'Look. '.repeat(200));
    const { blocked } = await untilPhase(handle, 'blocked');
    assert.equal(blocked?.cause, 'model-quota');
    assert.match(blocked.message, /needs \d+ tokens at once, and the limit of scripted:tiny-\w+ is 100/);
    assert.match(blocked.mend ?? '', /PERDURE_MODEL_LIMITS/);
    await update(handle, 'requestStop', { reason: 'seen' });
    await handle.result();
  });

  it('waits in the same way for the call of a compaction, and pays for the summary once', async () => {
    const handle = await compacting;
    const { outcome, tokens } = await handle.result();
    assert.equal(outcome.kind, 'completed');
    const activities = activitiesOf(await readHistory(platform, handle));
    const kinds = activities
      .filter(({ type }) => type === 'compact')
      .map(({ result }) => (result as { readonly kind: string }).kind);
    assert.deepEqual([kinds.includes('throttled'), kinds.at(-1)], [true, 'compacted']);
    const reservations = await platform.db
      .selectFrom('budget_reservations')
      .select(['state', 'actual_tokens', 'summary_key'])
      .where('run_id', '=', handle.workflowId)
      .execute();
    const summaries = reservations.filter(({ summary_key: key }) => key !== null);
    const paid = summaries.filter(({ state }) => state === 'settled');
    assert.equal(paid.length, new Set(summaries.map(({ summary_key: key }) => key)).size, 'each piece is paid once');
    assert.ok(summaries.length > paid.length, 'those that waited have freed what they had reserved');
    assert.ok(reservations.every(({ state }) => state === 'settled' || state === 'released'));
    assert.equal(
      reservations.reduce((sum, row) => sum + Number(row.actual_tokens), 0),
      tokens,
    );
  });
});
