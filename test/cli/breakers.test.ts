// Goal: people see which models are left alone and since when, and can have them called again.
// Method: the command line in this process on a real database, with breakers as workers leave them.
import assert from 'node:assert/strict';
import { createProcessBreakers } from '../../src/activities/model/routing/process-breakers.ts';
import { examineBreakers } from '../../src/cli/doctor/examine-breakers.ts';
import { openTestStores, randomId, type TestStores } from '../activities/stores/support.ts';
import { startTestServers } from '../support/servers.ts';
import { capturedCli, type Ended } from './captured-cli.ts';

describe('perdure models breakers', () => {
  let stores: TestStores;
  let env: Record<string, string>;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;
  const model = `tests:${randomId('model')}`;

  before(async () => {
    stores = await openTestStores();
    const { temporal, postgres } = await startTestServers();
    env = {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
    };
    perdure = capturedCli(env);
    const breakers = createProcessBreakers(stores.breakers, () => undefined);
    for (let call = 0; call < 5; call += 1) {
      const admission = await breakers.admit({ model, server: 'models.test:8443' });
      if (admission.kind === 'admitted') await admission.permit.tell('failed');
    }
  });
  after(async () => stores.close());

  it('shows what is left alone, and closes it with a reason', async () => {
    const { out } = await perdure('models', 'breakers');
    const line = out.split('\n').find((each) => each.includes(model)) ?? '';
    assert.match(line, / at models\.test:8443 +open +\S.*5 of the last 5 calls$/);
    const reset = await perdure('models', 'reset-breaker', model, '--reason', 'It is mended.', '--by', 'ann');
    assert.deepEqual([reset.exitCode, reset.out.trim()], [0, 'closed']);
    assert.match(reset.said, /was open; workers call it again within a second/);
    const listed = JSON.parse((await perdure('models', 'breakers', '--json')).out) as { readonly model: string }[];
    assert.ok(listed.every((each) => each.model !== model));
  });

  it('is in what the doctor finds, while a model is left alone', async () => {
    const breakers = createProcessBreakers(stores.breakers, () => undefined);
    const failing = { model: `tests:${randomId('model')}`, server: '' };
    for (let call = 0; call < 5; call += 1) {
      const admission = await breakers.admit(failing);
      if (admission.kind === 'admitted') await admission.permit.tell('failed');
    }
    const found = await examineBreakers({ cwd: process.cwd(), env });
    const finding = found.find(({ message }) => message.startsWith(failing.model));
    assert.equal(finding?.status, 'warn');
    assert.match(finding.message, / is left alone since .*: 5 of its last 5 calls failed$/);
    await stores.breakers.reset(failing.model, 'ann', 'It is mended.');
    const after = await examineBreakers({ cwd: process.cwd(), env });
    assert.ok(after.every(({ message }) => !message.startsWith(failing.model)));
  });

  it('says so when there is no such breaker', async () => {
    const { exitCode, said } = await perdure('models', 'reset-breaker', 'tests:none', '--reason', 'Because.');
    assert.equal(exitCode, 4);
    assert.match(said, /there is no breaker of tests:none/);
  });
});
