// Goal: from the command line an operator sees, for each release and model, what share of its input came from a cache.
// Method: real PostgreSQL with calls of two releases; the command runs in this process.
import assert from 'node:assert/strict';
import type { Release } from '../../src/domain/release/release.ts';
import { NO_USAGE } from '../../src/domain/model/usage.ts';
import { openObservation } from '../../src/stores/observations.ts';
import type { ReleaseCacheShare } from '../../src/stores/cache-shares.ts';
import { newObservation, openTestStores, randomId, type TestStores } from '../activities/stores/support.ts';
import { startTestServers } from '../support/servers.ts';
import { capturedCli, type Ended } from './captured-cli.ts';

describe('command line: models cache', () => {
  let stores: TestStores;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;
  const agent = randomId('agent');
  const releases: string[] = [];

  const call = async (release: string, cacheReadTokens: number, isCostSimulated = false, name = 'anthropic:m') => {
    const opened = { ...newObservation(randomId('run'), 1, 'model'), agent, release, name };
    const observation = await openObservation(stores.db, stores.tenant, opened);
    const usage = { ...NO_USAGE, inputTokens: 1_000, cacheReadTokens, cacheWriteTokens: 100 };
    await stores.observations.close(observation, { outcome: 'replied', usage, isCostSimulated });
  };

  before(async () => {
    stores = await openTestStores();
    const { temporal, postgres } = await startTestServers();
    perdure = capturedCli({
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
    });
    for (const instructions of ['before', 'after']) {
      const limits = { costPico: '1', tokens: 1, turns: 1, toolCalls: 1, activeMs: 1 };
      const choice = { id: 'anthropic:m', outputTokensMax: 1, contextTokensMax: 1 };
      const rest = { tools: [], guardrails: [], approvals: [], limits, reflection: null };
      const release: Release = { agent, instructions, models: { standard: choice }, ...rest };
      releases.push(await stores.releases.put(release));
    }
    const [first = '', second = ''] = releases;
    for (const read of [0, 900, 880]) await call(first, read);
    await call(second, 250);
    await call(second, 0, true);
    await call(second, 500, false, 'openai:n');
  });
  after(async () => stores.close());

  it('shows it by release and model, and leaves out what was played', async () => {
    const { out, exitCode } = await perdure('models', 'cache', '--agent', agent, '--json');
    assert.equal(exitCode, 0);
    const shares = JSON.parse(out) as readonly ReleaseCacheShare[];
    assert.deepEqual(
      shares.map((each) => [
        releases.indexOf(each.release),
        each.model,
        each.calls,
        each.inputTokens,
        each.readPerMille,
        each.cacheWriteTokens,
      ]),
      [
        [0, 'anthropic:m', 3, 3_000, 593, 300],
        [1, 'anthropic:m', 1, 1_000, 250, 100],
        [1, 'openai:n', 1, 1_000, 500, 100],
      ],
    );
  });

  it('writes a table', async () => {
    const { out } = await perdure('models', 'cache', '--agent', agent, '--days', '1');
    assert.match(out, new RegExp(`${agent} +${releases[0]} +anthropic:m +3 +3,000 +59.3 % +300`));
  });

  it('says where there is nothing, and refuses days that are none', async () => {
    const { said, exitCode } = await perdure('models', 'cache', '--agent', randomId('nobody'));
    assert.deepEqual([exitCode, /no model call of the last 7 days/.test(said)], [0, true], said);
    assert.equal((await perdure('models', 'cache', '--days', '0')).exitCode, 2);
  });
});
