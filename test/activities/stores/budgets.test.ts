// Goal: what runs spend and hold never exceeds a cap above them, comes close to it, and is charged once, whoever dies; and nobody waits in a circle.
// Method: the real accounts on PostgreSQL, many callers at once over chains that cross, workers whose connections are cut, random schedules.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { sql } from 'kysely';
import { COUNTING_LOCK } from '../../../src/stores/budget-account.ts';
import type { AccountKey } from '../../../src/stores/budget-chain.ts';
import { NO_TENANT, ORGANISATION } from '../../../src/stores/budget-chain.ts';
import type { NewCap } from '../../../src/stores/budgets.ts';
import type { BudgetWarning } from '../../../src/stores/charge-calls.ts';
import { openDatabase } from '../../../src/stores/database.ts';
import { readHeldStanding } from '../../../src/stores/held-reader.ts';
import { migrate } from '../../../src/stores/migrate.ts';
import type { ModelAttempt, Reserved } from '../../../src/stores/model-calls.ts';
import { createStores, type Stores } from '../../../src/stores/stores.ts';
import { startDatabaseProxy } from '../../support/database-proxy.ts';
import { admitRun, makeDatabase, newObservation, randomId, type TestStores } from './support.ts';

const WORST = 100n;
const BY = { principal: 'ann' };
const CALLS_MAX = { unusableMax: 1_000, unansweredMax: 1_000 };
const LARGE = { costPico: '1000000', tokens: 1_000_000 };
const monthly = (pico: bigint): NewCap => ({ pico, tokens: null, period: 'month' });
const ORGANISATION_ACCOUNT: AccountKey = { tenant: NO_TENANT, kind: 'organisation', id: ORGANISATION };

const account = (tenant: string): AccountKey => ({ tenant, kind: 'tenant', id: tenant });
const reserve = async (
  by: Stores,
  tenant: string,
  runId: string,
  turn: number,
): Promise<{ reserved: Reserved; attempt: Omit<ModelAttempt, 'observation'> }> => {
  const id = randomId('reservation');
  const reservation = { id, worstPico: WORST, worstTokens: 10, ...CALLS_MAX };
  const reserved = await by.modelCalls.reserve(tenant, reservation, newObservation(runId, turn, 'model'));
  return { reserved, attempt: { runId, turn, reservationId: id } };
};
const settle = async (by: Stores, tenant: string, attempt: ModelAttempt, costPico: bigint) =>
  by.modelCalls.settle(tenant, attempt, { kind: 'settled', costPico, tokens: 1 }, { outcome: 'replied' }, null);

const given = ({ reserved, attempt }: Awaited<ReturnType<typeof reserve>>): ModelAttempt =>
  reserved.kind === 'reserved' ? { ...attempt, observation: reserved.observation } : assert.fail(reserved.kind);

const warnings: BudgetWarning[] = [];
const onBudgetWarned = (warning: BudgetWarning) => void warnings.push(warning);

describe('budgets above the run', () => {
  let url: string;
  let stores: TestStores;
  const open = (): TestStores => {
    // PostgreSQL knows the connections of one process by this name.
    const tenant = randomId('tenant');
    const db = openDatabase(`${url}?application_name=${tenant}`, () => undefined);
    return { ...createStores(db, { onBudgetWarned }), tenant, close: async () => db.destroy() };
  };

  before(async () => {
    url = await makeDatabase();
    stores = open();
    await migrate(stores.db);
  });
  after(async () => stores.close());
  // The organisation is one for all tests of this database.
  afterEach(async () => stores.budgets.setCap(NO_TENANT, ORGANISATION_ACCOUNT, null, BY));

  const standing = async (kind: AccountKey['kind'], id: string) => {
    const found = await stores.budgets.list(null, { kind, id });
    return found[0] ?? assert.fail(`there is no ${kind} ${id}`);
  };
  it('lets 50 calls at once use a cap to its last fiftieth, and not beyond', async () => {
    const tenant = randomId('tenant');
    const runs = await Promise.all(Array.from({ length: 50 }, async () => admitRun({ ...stores, tenant }, LARGE)));
    await stores.budgets.setCap(tenant, account(tenant), monthly(50n * WORST + 99n), BY);
    const results = await Promise.all(
      runs.map(async (runId, index) => {
        const attempts: ModelAttempt[] = [];
        for (let turn = 1; turn <= 3; turn += 1) {
          const asked = await reserve(stores, tenant, runId, turn);
          if (asked.reserved.kind !== 'reserved') {
            assert.equal(asked.reserved.kind, 'account-refused');
            break;
          }
          attempts.push(given(asked));
          if (index % 2 === 0) await settle(stores, tenant, given(asked), WORST);
        }
        return attempts.length;
      }),
    );
    assert.equal(
      results.reduce((sum, calls) => sum + calls, 0),
      50,
    );
    const { spentPico, heldPico, capPico } = await standing('tenant', tenant);
    assert.equal(spentPico + heldPico, 50n * WORST);
    assert.ok((spentPico + heldPico) * 100n >= (capPico ?? 0n) * 95n);
  });

  it('counts what was used before there was a cap, also while calls go on', async () => {
    const tenant = randomId('tenant');
    const runs = await Promise.all(Array.from({ length: 6 }, async () => admitRun({ ...stores, tenant }, LARGE)));
    const held = given(await reserve(stores, tenant, runs[0] ?? '', 999));
    const talk = { isOver: false };
    const talking = runs.map(async (runId) => {
      for (let turn = 1; !talk.isOver; turn += 1)
        await settle(stores, tenant, given(await reserve(stores, tenant, runId, turn)), 7n);
    });
    for (let change = 0; change < 4; change += 1) {
      await stores.budgets.setCap(tenant, account(tenant), change % 2 === 0 ? monthly(10n ** 9n) : null, BY);
    }
    await stores.budgets.setCap(tenant, account(tenant), { pico: 10n ** 9n, tokens: 10 ** 9, period: 'total' }, BY);
    talk.isOver = true;
    await Promise.all(talking);
    const { rows } = await sql<{ pico: string; tokens: string }>`
      select sum(actual_pico) as pico, sum(actual_tokens) as tokens from perdure.budget_reservations
       where tenant = ${tenant} and state = 'settled'`.execute(stores.db);
    const { spentPico, spentTokens, heldPico } = await standing('tenant', tenant);
    assert.deepEqual([String(spentPico), String(spentTokens)], [rows[0]?.pico, rows[0]?.tokens]);
    assert.equal(heldPico, WORST);
    await settle(stores, tenant, held, 11n);
    assert.equal((await standing('tenant', tenant)).heldPico, 0n);
  });

  it('charges the period of the reservation, and begins the next one empty', async () => {
    const tenant = randomId('tenant');
    const runId = await admitRun({ ...stores, tenant }, LARGE);
    await stores.budgets.setCap(tenant, account(tenant), { pico: 150n, tokens: null, period: 'day' }, BY);
    const yesterday = given(await reserve(stores, tenant, runId, 1));
    const refused = (await reserve(stores, tenant, runId, 2)).reserved;
    assert.ok(refused.kind === 'account-refused' && refused.because === 'held');
    assert.equal(refused.account.id, tenant);
    await sql`update perdure.budget_counters set begins_at = begins_at - interval '1 day' where tenant = ${tenant}`.execute(
      stores.db,
    );
    const today = given(await reserve(stores, tenant, runId, 2));
    await settle(stores, tenant, yesterday, 90n);
    const { spentPico, heldPico } = await standing('tenant', tenant);
    assert.deepEqual([spentPico, heldPico], [0n, WORST]);
    await settle(stores, tenant, today, 60n);
    assert.equal((await standing('tenant', tenant)).spentPico, 60n);
  });

  it('tells once that 80 % is used, and again after a top-up', async () => {
    const tenant = randomId('tenant');
    const runId = await admitRun({ ...stores, tenant }, LARGE);
    await stores.budgets.setCap(tenant, account(tenant), monthly(200n), BY);
    const spend = async (turn: number, pico: bigint) =>
      settle(stores, tenant, given(await reserve(stores, tenant, runId, turn)), pico);
    const told = () => warnings.filter(({ id }) => id === tenant).length;
    await spend(1, 80n);
    assert.deepEqual([told(), await stores.budgets.isNearCap(tenant, runId)], [0, false]);
    await spend(2, 80n);
    assert.deepEqual([told(), await stores.budgets.isNearCap(tenant, runId)], [1, true]);
    assert.equal((await reserve(stores, tenant, runId, 3)).reserved.kind, 'account-refused');
    assert.ok(await stores.budgets.topUp(tenant, account(tenant), { pico: 100n, tokens: null }, BY));
    assert.equal(await stores.budgets.isNearCap(tenant, runId), false);
    await spend(3, 100n);
    assert.equal(told(), 2);
    const rows = await stores.db
      .selectFrom('audit')
      .select('action')
      .where('tenant', '=', tenant)
      .orderBy('seq')
      .execute();
    assert.deepEqual(
      rows.map(({ action }) => action).filter((action) => action.startsWith('budget')),
      ['budget.set', 'budget.warn', 'budget.top-up', 'budget.warn'],
    );
  });

  it('tells of an account that refuses without a settlement that would tell: a cap set below what is spent, money that dead calls hold', async () => {
    for (const isHeld of [false, true]) {
      const tenant = randomId('tenant');
      const runId = await admitRun({ ...stores, tenant }, LARGE);
      await stores.budgets.setCap(tenant, account(tenant), monthly(isHeld ? 120n : 1_000n), BY);
      const spent = given(await reserve(stores, tenant, runId, 1));
      if (!isHeld) await settle(stores, tenant, spent, 100n);
      if (!isHeld) await stores.budgets.setCap(tenant, account(tenant), monthly(50n), BY);
      const told = () => warnings.filter(({ id }) => id === tenant).length;
      assert.equal(told(), 0);
      for (const turn of [2, 3]) {
        assert.equal((await reserve(stores, tenant, runId, turn)).reserved.kind, 'account-refused');
        assert.equal(told(), 1, `held: ${isHeld}`);
      }
    }
  });

  it('tells again of a run whose limit was raised', async () => {
    const tenant = randomId('tenant');
    const runId = await admitRun({ ...stores, tenant }, { costPico: '200', tokens: 1_000 });
    const told = () => warnings.filter(({ id }) => id === runId).length;
    await settle(stores, tenant, given(await reserve(stores, tenant, runId, 1)), 80n);
    await settle(stores, tenant, given(await reserve(stores, tenant, runId, 2)), 90n);
    assert.equal(told(), 1);
    const message = { runId, id: 'm', turn: 2, kind: 'top-up', principal: 'ann' };
    await stores.runMessages.topUp(tenant, message, { costPico: '100' });
    await settle(stores, tenant, given(await reserve(stores, tenant, runId, 3)), 90n);
    assert.equal(told(), 2);
  });

  it('has a cap while what was used before is counted, also where that is cut off, and counts it the next time', async () => {
    const tenant = randomId('tenant');
    const runId = await admitRun({ ...stores, tenant }, LARGE);
    await stores.budgets.setCap(tenant, account(tenant), { pico: 1_000n, tokens: null, period: 'day' }, BY);
    await settle(stores, tenant, given(await reserve(stores, tenant, runId, 1)), 70n);
    const dying = open();
    // Whoever moves money holds this lock shared: counting waits for it, and its process dies there.
    const isLocked = Promise.withResolvers<void>();
    const isOver = Promise.withResolvers<void>();
    const mover = stores.db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock_shared(${sql.lit(COUNTING_LOCK)})`.execute(tx);
      isLocked.resolve();
      await isOver.promise;
    });
    await isLocked.promise;
    const setting = dying.budgets.setCap(tenant, account(tenant), monthly(150n), BY).catch((error: unknown) => error);
    const isSet = async () => (await standing('tenant', tenant)).period === 'month';
    for (let tries = 0; tries < 200 && !(await isSet()); tries += 1) await sleep(25);
    await cut(dying);
    assert.ok((await setting) instanceof Error);
    isOver.resolve();
    await mover;
    await dying.close();
    assert.equal((await standing('tenant', tenant)).capPico, 150n);
    await stores.budgets.setCap(tenant, account(tenant), monthly(150n), BY);
    assert.equal((await standing('tenant', tenant)).spentPico, 70n);
    assert.equal((await reserve(stores, tenant, runId, 2)).reserved.kind, 'account-refused');
  });

  it('gives back what was reserved by a transaction of whose end nobody heard', async () => {
    const tenant = randomId('tenant');
    const runId = await admitRun({ ...stores, tenant }, LARGE);
    await stores.budgets.setCap(tenant, account(tenant), monthly(1_000n), BY);
    const proxy = await startDatabaseProxy(url);
    const db = openDatabase(proxy.url, () => undefined);
    const lossy = createStores(db, { onBudgetWarned });
    await settle(lossy, tenant, given(await reserve(lossy, tenant, runId, 1)), 7n);
    proxy.loseCommit();
    await assert.rejects(reserve(lossy, tenant, runId, 2), /[Cc]onnection/);
    const isFree = async () => (await standing('tenant', tenant)).heldPico === 0n;
    for (let tries = 0; tries < 200 && !(await isFree()); tries += 1) await sleep(25);
    const { rows } = await sql<{ state: string }>`
      select state from perdure.budget_reservations where tenant = ${tenant} and turn = 2`.execute(stores.db);
    // It is there: the transaction was committed.
    assert.deepEqual([await isFree(), rows], [true, [{ state: 'released' }]]);
    await db.destroy();
    await proxy.close();
  });

  it('takes a person’s word for what is held, on every account, once', async () => {
    const tenant = randomId('tenant');
    const runId = await admitRun({ ...stores, tenant }, LARGE);
    await stores.budgets.setCap(tenant, account(tenant), monthly(1_000n), BY);
    const dead = given(await reserve(stores, tenant, runId, 1));
    const word = { kind: 'paid', pico: 30n, tokens: null } as const;
    assert.equal((await stores.budgets.settleHeld(tenant, dead.reservationId, word, BY))?.kind, 'under-way');
    await reserve(stores, tenant, runId, 1);
    const [held] = await stores.budgets.held(tenant);
    assert.equal(held?.id, dead.reservationId);
    const more = { ...word, pico: WORST + 1n };
    assert.equal((await stores.budgets.settleHeld(tenant, dead.reservationId, more, BY))?.kind, 'too-much');
    assert.equal((await stores.budgets.settleHeld(tenant, dead.reservationId, word, BY))?.kind, 'settled');
    assert.equal((await stores.budgets.settleHeld(tenant, dead.reservationId, word, BY))?.kind, 'not-held');
    await settle(stores, tenant, dead, 99n);
    const { spentPico, heldPico } = await standing('tenant', tenant);
    assert.deepEqual([spentPico, heldPico], [30n, WORST]);
    assert.equal(await stores.budgets.settleHeld(tenant, 'unknown', word, BY), null);
  });

  it('holds what nobody comes back for, tells how much it is, and lets a person settle it', async () => {
    const tenant = randomId('tenant');
    const runId = await admitRun({ ...stores, tenant }, LARGE);
    const before = await readHeldStanding(stores.db);
    const { reservationId: id } = given(await reserve(stores, tenant, runId, 1));
    assert.deepEqual(
      [(await stores.budgets.held(tenant)).length, (await readHeldStanding(stores.db)).calls],
      [0, before.calls],
    );
    // Its run was ended at Temporal: it has no end here, and no other attempt will come.
    await sql`update perdure.budget_reservations set opened_at = now() - interval '6 minutes' where id = ${id}`.execute(
      stores.db,
    );
    assert.deepEqual(
      (await stores.budgets.held(tenant)).map((held) => held.id),
      [id],
    );
    const { calls, usd, oldestSeconds } = await readHeldStanding(stores.db);
    assert.equal(calls, before.calls + 1);
    assert.ok(Math.abs(usd - before.usd - Number(WORST) / 1e12) < 1e-15 && oldestSeconds >= 359);
    assert.equal((await stores.budgets.settleHeld(tenant, id, { kind: 'free' }, BY))?.kind, 'settled');
    assert.equal((await readHeldStanding(stores.db)).calls, before.calls);
  });

  it('never waits in a circle when chains cross', async () => {
    const tenants = [randomId('tenant'), randomId('tenant')];
    const runs = await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        const tenant = tenants[index % 2] ?? '';
        const accounts = { person: `p-${index % 3}`, conversation: `c-${index % 4}`, waits: false };
        return { tenant, runId: await admitRun({ ...stores, tenant }, LARGE, accounts) };
      }),
    );
    await stores.budgets.setCap(NO_TENANT, ORGANISATION_ACCOUNT, monthly(10n ** 9n), BY);
    for (const tenant of tenants) {
      await stores.budgets.setCap(tenant, account(tenant), monthly(10n ** 9n), BY);
      for (const id of ['p-0', 'p-1', 'p-2'])
        await stores.budgets.setCap(tenant, { tenant, kind: 'user', id }, monthly(10n ** 9n), BY);
      for (const id of ['c-0', 'c-1', 'c-2', 'c-3'])
        await stores.budgets.setCap(tenant, { tenant, kind: 'conversation', id }, monthly(10n ** 9n), BY);
    }
    // Three processes: batches of one cannot wait for one another, those of several can.
    const workers = [open(), open(), open()];
    const heldBefore = (await standing('organisation', ORGANISATION)).heldPico;
    await Promise.all(
      runs.flatMap(({ tenant, runId }, index) =>
        [1, 2].map(async (lane) => {
          for (let turn = 1; turn <= 6; turn += 1) {
            const worker = workers[(index + turn + lane) % 3] ?? assert.fail();
            const attempt = given(await reserve(worker, tenant, runId, lane * 100 + turn));
            await settle(worker, tenant, attempt, 5n);
          }
        }),
      ),
    );
    await Promise.all(workers.map(async (worker) => worker.close()));
    // One that deadlocks is refused by PostgreSQL with 40P01 and would have thrown; what was charged shows that each was done once.
    assert.equal((await standing('organisation', ORGANISATION)).heldPico, heldBefore);
    const { rows } = await sql<{ spent: string }>`
      select sum(spent_pico) as spent from perdure.budget_counters where tenant = any(${tenants}) and kind = 'user'`.execute(
      stores.db,
    );
    assert.equal(rows[0]?.spent, String(24 * 2 * 6 * 5));
  });

  it('keeps caps and charges each call once whatever dies when', async () => {
    const fate = fc.record({
      cost: fc.bigInt({ min: 0n, max: WORST }),
      end: fc.constantFrom('settles', 'settles', 'settles', 'settles-twice', 'is-free', 'dies', 'is-cut'),
      worker: fc.nat({ max: 1 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fate, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 8 }),
        async (schedules) => {
          const tenant = randomId('tenant');
          await stores.budgets.setCap(tenant, account(tenant), monthly(12n * WORST), BY);
          const workers = [open(), open()];
          const runs = await Promise.all(schedules.map(async () => admitRun({ ...stores, tenant }, LARGE)));
          await Promise.all(
            schedules.map(async (fates, index) => {
              for (const [turn, { cost, end, worker }] of fates.entries()) {
                const by = workers[worker] ?? assert.fail();
                // A connection that is cut takes other callers' work with it: they fail, as their activities would, and nobody knows what was written.
                const asked = await reserve(by, tenant, runs[index] ?? '', turn).catch(() => null);
                if (asked === null || asked.reserved.kind !== 'reserved') continue;
                const attempt = given(asked);
                if (end === 'is-free')
                  await by.modelCalls
                    .settle(tenant, attempt, { kind: 'free' }, { outcome: 'failed' }, null)
                    .catch(() => undefined);
                if (end === 'is-cut') await cut(by);
                if (end === 'settles' || end === 'settles-twice' || end === 'is-cut')
                  await settle(by, tenant, attempt, cost).catch(() => undefined);
                if (end === 'settles-twice') await settle(by, tenant, attempt, cost).catch(() => undefined);
                const now = await standing('tenant', tenant);
                assert.ok(now.spentPico + now.heldPico <= 12n * WORST);
              }
            }),
          );
          await Promise.all(workers.map(async (worker) => worker.close()));
          const { rows } = await sql<{ spent: string; held: string }>`
          select coalesce(sum(actual_pico) filter (where state = 'settled'), 0) as spent,
                 coalesce(sum(worst_pico) filter (where state in ('reserved', 'held')), 0) as held
            from perdure.budget_reservations where tenant = ${tenant}`.execute(stores.db);
          const { spentPico, heldPico } = await standing('tenant', tenant);
          assert.deepEqual([String(spentPico), String(heldPico)], [rows[0]?.spent, rows[0]?.held]);
          const own = await stores.db
            .selectFrom('budget_accounts')
            .select(['spent_pico', 'held_pico'])
            .where('tenant', '=', tenant)
            .where('kind', '=', 'run')
            .execute();
          const sum = (column: 'spent_pico' | 'held_pico') =>
            own.reduce((total, row) => total + BigInt(row[column]), 0n);
          assert.deepEqual([sum('spent_pico'), sum('held_pico')], [spentPico, heldPico]);
        },
      ),
      { numRuns: 8 },
    );
  });

  /** Ends the connections of a worker at once, whatever they are in the middle of, as its death would. */
  async function cut({ tenant: name }: TestStores): Promise<void> {
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = ${name}`.execute(
      stores.db,
    );
  }
});
