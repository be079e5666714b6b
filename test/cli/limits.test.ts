// Goal: from the command line an operator sees what of a provider's rate is used, whose calls wait, and sets what each tenant has of it.
// Method: real PostgreSQL with a credential of the test's own; the commands run in this process.
import assert from 'node:assert/strict';
import type { RateRecord } from '../../src/stores/rate-records.ts';
import { openTestStores, randomId, type TestStores } from '../activities/stores/support.ts';
import { startTestServers } from '../support/servers.ts';
import { capturedCli, type Ended } from './captured-cli.ts';

describe('command line: limits', () => {
  let stores: TestStores;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;
  const credential = randomId('provider');
  const tenant = randomId('acme');

  before(async () => {
    stores = await openTestStores();
    const { temporal, postgres } = await startTestServers();
    perdure = capturedCli({
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
    });
    const limit = { windowMs: 60_000, requests: 2, tokens: 1_000 };
    const rated = { credential, subject: credential, limit, declaredAt: Date.now() };
    for (const id of ['one', 'two', 'three']) {
      const call = { id, runId: id, model: 'm', bytes: 250, fileTokens: 0, outputTokensMax: 50 };
      await stores.rateLimits.ask(tenant, rated, call);
    }
  });
  after(async () => stores.close());

  it('shows limits, what is used, and whose calls wait', async () => {
    const { out, exitCode } = await perdure('limits', 'show');
    assert.equal(exitCode, 0);
    assert.match(out, new RegExp(`${credential} +requests +2 +2 +60 s .*${tenant}: 1 call`));
    assert.match(out, new RegExp(`${credential} +tokens +300 +1000 +60 s`));
  });

  it('says that a provider has refused a call, and until when nobody calls', async () => {
    const before = await perdure('limits', 'show');
    assert.doesNotMatch(before.out, new RegExp(`${credential}: its provider`));
    await stores.rateLimits.hold(tenant, credential, 50_000);
    const { out } = await perdure('limits', 'show');
    assert.match(out, new RegExp(`${credential}: its provider refused a call for the rate; nobody calls until \\d`));
  });

  it('sets the weight of a tenant, shows it, and writes down who did', async () => {
    const set = await perdure('limits', 'set-weight', tenant, '3', '--by', 'bea');
    assert.deepEqual([set.out, set.exitCode], [`${tenant} 3`, 0]);
    const { out } = await perdure('limits', 'show', '--json');
    const shown = JSON.parse(out) as { credentials: RateRecord[]; weights: { tenant: string; weight: number }[] };
    const record = shown.credentials.find((each) => each.credential === credential);
    assert.deepEqual(record?.waiting, [{ tenant, weight: 3, calls: 1 }]);
    assert.deepEqual(
      shown.weights.find((each) => each.tenant === tenant),
      { tenant, weight: 3 },
    );
    const audit = await stores.db.selectFrom('audit').selectAll().where('tenant', '=', tenant).execute();
    assert.deepEqual(
      audit.map(({ principal, action, before, after }) => ({ principal, action, before, after })),
      [{ principal: 'bea', action: 'limits.set-weight', before: { weight: 1 }, after: { weight: 3 } }],
    );
  });

  for (const weight of ['0', '-1', 'much', '1001', '1e2']) {
    it(`refuses the weight ${weight}`, async () => {
      const { exitCode, said } = await perdure(
        'limits',
        'set-weight',
        tenant,
        ...(weight === '-1' ? ['--', weight] : [weight]),
      );
      assert.deepEqual([exitCode, /It must be a number from 0.001 to 1000/.test(said)], [2, true], said);
    });
  }
});
