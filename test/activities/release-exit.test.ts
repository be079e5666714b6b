// Goal: a run is admitted with the odds of its own release's earlier runs, counted as they ended, and with none where nothing is to be decided by them.
// Method: rows of ended runs in the real database, and the plan that admission makes of them.
import assert from 'node:assert/strict';
import { buildRelease } from '../../src/activities/release/agent-release.ts';
import { planExit } from '../../src/activities/release/plan-exit.ts';
import type { ExitSpec } from '../../src/domain/run/exit-policy.ts';
import type { RunEnd } from '../../src/domain/run/run-end.ts';
import { oddsOf } from '../../src/domain/run/worth.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { admitRelease, openTestStores, type TestStores } from './stores/support.ts';

const LIMITS = { costPico: '1000', tokens: 1_000, turns: 9, toolCalls: 9, activeMs: 60_000 };

const releaseOf = (exit: ExitSpec | undefined, name = 'worker') =>
  buildRelease(testAgent(name, exit === undefined ? {} : { exit }), (id) => id);

describe('the plan of early exits', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const ended = async (
    release: ReturnType<typeof releaseOf>,
    turns: number,
    end: Partial<RunEnd>,
    tenant = stores.tenant,
  ) => {
    const id = await admitRelease(stores, tenant, release, { limits: LIMITS });
    const whole = { answer: null, release: null, turns, toolCalls: 0, tokens: 0, costPico: '0' };
    await stores.runs.recordEnd(tenant, id, null, { ...whole, outcome: { kind: 'completed' }, ...end }, 'ann');
  };
  const plan = async (release: ReturnType<typeof releaseOf>, kind: 'single' | 'conversation' = 'single') =>
    planExit(stores, stores.tenant, { release, releaseId: await stores.releases.put(release), kind });

  it('has the odds of this tenant and this release', async () => {
    const release = releaseOf({ polls: [], valueUsd: 0.25 });
    assert.deepEqual(await plan(release), { goals: [], polls: [] });
    for (let runs = 0; runs < 15; runs += 1) {
      await ended(release, 2, {});
      await ended(release, 6, { outcome: { kind: 'budget-exhausted', dimension: 'usd' } });
    }
    for (let runs = 0; runs < 6; runs += 1) {
      await ended(release, 6, { outcome: { kind: 'failed', cause: 'tool-error', message: '' } });
      // None of these says anything of it.
      await ended(release, 6, { outcome: { kind: 'failed', cause: 'infra', message: '' } });
      await ended(release, 6, { outcome: { kind: 'budget-exhausted', dimension: 'usd', account: 'tenant x' } });
      await ended(release, 6, { exit: { reason: 'expected-value' } });
      await ended(release, 6, {}, `${stores.tenant}-other`);
      await ended(releaseOf({ valueUsd: 0.25 }, 'other'), 6, {});
    }
    await admitRelease(stores, stores.tenant, release, { limits: LIMITS });
    const alike = { cause: null, isOthers: false, exit: null };
    const odds = oddsOf(
      [
        { ...alike, turns: 2, runs: 15, kind: 'completed' },
        { ...alike, turns: 6, runs: 21, kind: 'expired' },
      ],
      false,
    );
    assert.deepEqual(await plan(release), { goals: [], polls: [], worth: { valuePico: '250000000000', odds } });
    assert.equal((await plan(release, 'conversation')).worth, undefined);
  });

  it('asks for none where the agent names no value', async () => {
    assert.deepEqual(await plan(releaseOf(undefined)), { goals: [], polls: [] });
  });

  it('reads a list as that of the goals, and leaves the release of one as it was', async () => {
    const pay = { name: 'pay', effect: 'write' };
    const release = { ...releaseOf(undefined), exit: [{ tool: pay.name }] };
    assert.deepEqual(await planExit(stores, stores.tenant, { release, releaseId: 'r', kind: 'single' }), {
      goals: [{ tool: 'pay' }],
      polls: [],
    });
  });
});
