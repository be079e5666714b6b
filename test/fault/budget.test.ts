// Goal: a cap above runs is never overspent and almost reached, and each call is charged once, however often the processes that call are killed.
// Method: processes that reserve, call a server with a ledger of its own, and settle; killed at random moments and started again.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountKey } from '../../src/stores/budget-chain.ts';
import { openDatabase } from '../../src/stores/database.ts';
import { migrate } from '../../src/stores/migrate.ts';
import { createStores } from '../../src/stores/stores.ts';
import { admitRun, makeDatabase, randomId, type TestStores } from '../activities/stores/support.ts';

const WORST = 1_000;
const CAP = 200n * BigInt(WORST);
const PROCESSES = 3;
const RUNS_EACH = 5;
const KILLS = 12;
const CALLER = new URL('../support/crash/budget-caller.ts', import.meta.url).pathname;

describe('a cap above runs whose processes are killed', function () {
  this.timeout(120_000);
  let url: string;
  let stores: TestStores;
  /** What the provider charged, by the name of the call. */
  const ledger = new Map<string, number>();
  const provider = createServer((request, response) => {
    request.resume().on('end', () => {
      const id = (request.url ?? '').slice(1);
      assert.ok(!ledger.has(id), `${id} came twice`);
      ledger.set(id, 1 + Math.floor(Math.random() * WORST));
      setTimeout(() => response.end(String(ledger.get(id))), 10);
    });
  });

  before(async () => {
    url = await makeDatabase();
    const db = openDatabase(url, () => undefined);
    await migrate(db);
    stores = { ...createStores(db), tenant: randomId('tenant'), close: async () => db.destroy() };
    provider.listen(0, '127.0.0.1');
    await once(provider, 'listening');
  });
  after(async () => {
    provider.close();
    await stores.close();
  });

  it('is not overspent, almost reached, and charged once for each call', async () => {
    const { tenant } = stores;
    const account: AccountKey = { tenant, kind: 'tenant', id: tenant };
    await stores.budgets.setCap(tenant, account, { pico: CAP, tokens: null, period: 'total' }, { principal: 'ann' });
    const address = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    const cap = { costPico: '1000000000', tokens: 1_000_000 };
    const start = async (): Promise<ChildProcess> => {
      const runs = await Promise.all(Array.from({ length: RUNS_EACH }, async () => admitRun(stores, cap)));
      return spawn(process.execPath, [CALLER, url, address, tenant, String(WORST), ...runs], { stdio: 'inherit' });
    };
    const children = await Promise.all(Array.from({ length: PROCESSES }, start));
    for (let kill = 0; kill < KILLS; kill += 1) {
      const before = ledger.size;
      // A process that has not called yet proves nothing.
      while (ledger.size < before + 3 && children.some(({ exitCode }) => exitCode === null)) await sleep(5);
      await sleep(Math.random() * 30);
      const victim = kill % PROCESSES;
      children[victim]?.kill('SIGKILL');
      children[victim] = await start();
    }
    await Promise.all(children.map(async (child) => (child.exitCode === null ? once(child, 'exit') : null)));

    const rows = await stores.db
      .selectFrom('budget_reservations')
      .select(['id', 'state', 'actual_pico'])
      .where('tenant', '=', tenant)
      .execute();
    const settled = rows.filter(({ state }) => state === 'settled');
    const lost = rows.filter(({ state }) => state !== 'settled');
    for (const { id, actual_pico: actual } of settled) assert.equal(Number(actual), ledger.get(id));
    assert.ok(lost.length > 0, 'no call was killed on its way, so this shows nothing');
    const [standing] = await stores.budgets.list(null, { kind: 'tenant', id: tenant });
    const { spentPico, heldPico } = standing ?? assert.fail('the account is gone');
    const charged = [...ledger.values()].reduce((sum, cost) => sum + BigInt(cost), 0n);
    assert.ok(spentPico + heldPico <= CAP, `${spentPico} + ${heldPico} is above ${CAP}`);
    assert.ok((spentPico + heldPico) * 100n >= CAP * 95n, `${spentPico} + ${heldPico} is below 95 % of ${CAP}`);
    assert.ok(spentPico <= charged && charged <= spentPico + heldPico, `the provider charged ${charged}`);
    console.log(
      `      ${rows.length} calls, ${lost.length} lost with their process; spent ${spentPico}, held ${heldPico} of ${CAP}; the provider charged ${charged}`,
    );
  });
});
