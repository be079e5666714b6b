// Measures how many calls per second can reserve and settle under one organisation, with 1, 8 and 50 at once.
// Method: the stores on a real PostgreSQL with durable commits; each call reserves its worst case and settles its cost. Beside it the same without any account above
// the run, and what a commit of one row costs alone.
import { randomBytes } from 'node:crypto';
import { fork } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { sql } from 'kysely';
import { NO_TENANT, ORGANISATION } from '../src/stores/budget-chain.ts';
import { openDatabase } from '../src/stores/database.ts';
import { migrate } from '../src/stores/migrate.ts';
import { createStores } from '../src/stores/stores.ts';
import {
  admitRun,
  makeDatabase,
  newObservation,
  randomId,
  type TestStores,
} from '../test/activities/stores/support.ts';

const SECONDS = 5;
const PARALLEL = [1, 8, 50] as const;
/** Runs under the organisation: each caller has one of its own, as agents do. */
const CAP = { costPico: String(10n ** 18n), tokens: 10 ** 12 };

type Measured = { readonly perSecond: number; readonly p50: number; readonly p99: number };

function openStores(url: string): TestStores {
  const db = openDatabase(url, () => undefined);
  return { ...createStores(db), tenant: `tenant-${randomBytes(3).toString('hex')}`, close: async () => db.destroy() };
}

/** Reserves and settles for some seconds with so many callers at once. */
async function measure(stores: TestStores, parallel: number): Promise<Measured> {
  const runs = await Promise.all(Array.from({ length: parallel }, async () => admitRun(stores, CAP)));
  const latencies: number[] = [];
  const endAt = performance.now() + SECONDS * 1_000;
  await Promise.all(
    runs.map(async (runId) => {
      for (let turn = 1; performance.now() < endAt; turn += 1) {
        const id = randomId('reservation');
        const begun = performance.now();
        const reserved = await stores.modelCalls.reserve(
          stores.tenant,
          { id, worstPico: 1_000n, worstTokens: 10, unusableMax: 8, unansweredMax: 8 },
          newObservation(runId, turn, 'model'),
        );
        latencies.push(performance.now() - begun);
        if (reserved.kind !== 'reserved') throw new Error(`it gave ${reserved.kind}`);
        await stores.modelCalls.settle(
          stores.tenant,
          { runId, turn, reservationId: id, observation: reserved.observation },
          { kind: 'settled', costPico: 7n, tokens: 1 },
          { outcome: 'replied' },
          null,
        );
      }
    }),
  );
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { perSecond: latencies.length / SECONDS, p50: at(0.5), p99: at(0.99) };
}

/** Commits of one row one after the other: what bounds a design that commits each reservation alone under one locked row. */
async function commitsPerSecond({ db }: TestStores): Promise<number> {
  await sql`create table if not exists bench_row (n bigint)`.execute(db);
  await sql`insert into bench_row values (0)`.execute(db);
  let commits = 0;
  for (const endAt = performance.now() + 2_000; performance.now() < endAt; commits += 1) {
    await sql`update bench_row set n = n + 1`.execute(db);
  }
  return commits / 2;
}

async function deadlocks({ db }: TestStores): Promise<number> {
  await sql`select pg_stat_clear_snapshot()`.execute(db);
  const { rows } = await sql<{ n: string }>`
    select deadlocks as n from pg_stat_database where datname = current_database()`.execute(db);
  return Number(rows[0]?.n ?? 0);
}

async function cap(stores: TestStores): Promise<void> {
  const by = { principal: 'bench' };
  const limit = { pico: 10n ** 18n, tokens: null, period: 'month' } as const;
  const { tenant, budgets } = stores;
  await budgets.setCap(tenant, { tenant, kind: 'tenant', id: tenant }, limit, by);
  await budgets.setCap(NO_TENANT, { tenant: NO_TENANT, kind: 'agent', id: 'any' }, limit, by);
  await budgets.setCap(NO_TENANT, { tenant: NO_TENANT, kind: 'organisation', id: ORGANISATION }, limit, by);
}

function line(name: string, parallel: string, { perSecond, p50, p99 }: Measured, ratio: number | null): string {
  const cells = [perSecond.toFixed(0), p50.toFixed(1), p99.toFixed(1), ratio === null ? '' : ratio.toFixed(2)];
  return [name.padEnd(28), parallel.padStart(8), ...cells.map((cell) => cell.padStart(10))].join('  ');
}

async function main(): Promise<void> {
  const url = await makeDatabase();
  const stores = openStores(url);
  await migrate(stores.db);
  const { rows } = await sql<{ name: string; setting: string }>`
    select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes')`.execute(
    stores.db,
  );
  console.log(rows.map(({ name, setting }) => `${name} ${setting}`).join(', '));
  console.log(`commits of one row, one after the other: ${(await commitsPerSecond(stores)).toFixed(0)}/s`);
  console.log(
    [
      'accounts above the run'.padEnd(28),
      'at once',
      ...['calls/s', 'p50 ms', 'p99 ms', 'ratio'].map((head) => head.padStart(10)),
    ].join('  '),
  );
  const alone = new Map<number, number>();
  for (const parallel of PARALLEL) {
    const measured = await measure(stores, parallel);
    alone.set(parallel, measured.perSecond);
    console.log(line('none with a cap', String(parallel), measured, null));
  }
  await cap(stores);
  for (const parallel of PARALLEL) {
    const measured = await measure(stores, parallel);
    console.log(
      line('tenant, agent, organisation', String(parallel), measured, measured.perSecond / (alone.get(parallel) ?? 1)),
    );
  }
  console.log(line('the same, 4 processes', '4 x 12', await measureProcesses(url, 4, 12), null));
  console.log(`deadlocks: ${await deadlocks(stores)}`);
  await stores.close();
}

async function measureProcesses(url: string, processes: number, parallel: number): Promise<Measured> {
  const all = await Promise.all(
    Array.from(
      { length: processes },
      async () =>
        new Promise<Measured>((resolve, reject) => {
          const child = fork(import.meta.filename, [url, String(parallel)]);
          child.once('message', (message) => resolve(message as Measured));
          child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)));
        }),
    ),
  );
  return {
    perSecond: all.reduce((sum, each) => sum + each.perSecond, 0),
    p50: Math.max(...all.map(({ p50 }) => p50)),
    p99: Math.max(...all.map(({ p99 }) => p99)),
  };
}

const [, , databaseUrl, parallel] = process.argv;
if (databaseUrl === undefined) {
  await main();
  process.exit(0);
}
const child = openStores(databaseUrl);
process.send?.(await measure(child, Number(parallel)));
await child.close();
