import { randomBytes } from 'node:crypto';
import type { RatedCredential } from '../src/stores/rate-limits.ts';
import { openDatabase } from '../src/stores/database.ts';
import { migrate } from '../src/stores/migrate.ts';
import { createStores, type Stores } from '../src/stores/stores.ts';
import { startTestServers } from '../test/support/servers.ts';

/**
 * Measures how many calls a credential can let through in a second, and what asking takes: one row is locked for each. Every answer is a grant,
 * as the limit is far away, or a denial, where a thousand calls wait before it.
 */
const SECONDS = 5;

type Case = {
  readonly name: string;
  readonly processes: number;
  readonly callers: number;
  readonly tenants: number;
  readonly waiting: number;
};

const CASES: readonly Case[] = [
  { name: 'one caller', processes: 1, callers: 1, tenants: 1, waiting: 0 },
  { name: 'one process', processes: 1, callers: 32, tenants: 2, waiting: 0 },
  { name: 'four processes', processes: 4, callers: 32, tenants: 2, waiting: 0 },
  { name: 'a hundred tenants', processes: 4, callers: 32, tenants: 100, waiting: 0 },
  { name: '100 calls wait', processes: 4, callers: 32, tenants: 10, waiting: 100 },
  { name: '1,000 calls wait', processes: 4, callers: 32, tenants: 100, waiting: 1_000 },
];

const { postgres } = await startTestServers();
const databases = [1, 2, 3, 4].map(() => openDatabase(postgres.url, () => undefined));
const [first] = databases;
if (first === undefined) throw new Error('no database was opened');
await migrate(first);
const processes = databases.map((db) => createStores(db));

const call = (id: string) => ({ id, runId: id, model: 'm', bytes: 100, fileTokens: 0, outputTokensMax: 10 });

/** Finds the value below which a share of the values lies. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Writes rows under headings, numbers flush right. */
function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return [headings, ...rows].map(line).join('\n');
}

async function fill(stores: Stores, credential: RatedCredential, { waiting, tenants }: Case): Promise<void> {
  if (waiting === 0) return;
  await stores.rateLimits.ask('t0', credential, call('declares'));
  const row = (index: number) => ({
    credential: credential.credential,
    tenant: `t${index % tenants}`,
    id: `w${index}`,
    run_id: `w${index}`,
    requests: 1,
    tokens: 1e6,
    since: new Date(),
    expires_at: new Date(Date.now() + 120_000),
  });
  await stores.db
    .insertInto('rate_waiters')
    .values(Array.from({ length: waiting }, (_, index) => row(index)))
    .execute();
}

async function measure(given: Case): Promise<readonly string[]> {
  const credential: RatedCredential = {
    credential: `bench-${randomBytes(4).toString('hex')}`,
    subject: 'bench',
    // Where calls wait, nobody passes: what is measured is a denial with its queue.
    limit: { windowMs: 60_000, requests: given.waiting > 0 ? 1e6 : 1e9, tokens: given.waiting > 0 ? 2e6 : 1e12 },
    declaredAt: Date.now(),
  };
  const [stores] = processes;
  if (stores === undefined) throw new Error('no store was made');
  await fill(stores, credential, given);
  const took: number[] = [];
  const endsAt = performance.now() + SECONDS * 1_000;
  await Promise.all(
    processes.slice(0, given.processes).flatMap(({ rateLimits }, process) =>
      Array.from({ length: given.callers }, async (_, caller) => {
        for (let made = 0; performance.now() < endsAt; made += 1) {
          const id = given.waiting > 0 ? `${process}-${caller}` : `${process}-${caller}-${made}`;
          const startedAt = performance.now();
          await rateLimits.ask(`t${(caller + made) % given.tenants}`, credential, call(id));
          took.push(performance.now() - startedAt);
        }
      }),
    ),
  );
  const perSecond = Math.round(took.length / SECONDS);
  const alone = 1_000 / perSecond;
  return [
    given.name,
    given.waiting > 0 ? 'denials' : 'grants',
    String(perSecond),
    alone.toFixed(2),
    quantile(took, 0.5).toFixed(1),
    quantile(took, 0.99).toFixed(1),
  ];
}

const rows: (readonly string[])[] = [];
for (const given of CASES) rows.push(await measure(given));
console.log(table(['case', 'answers', 'a second', 'ms each', 'p50 ms', 'p99 ms'], rows));
await Promise.all(databases.map((db) => db.destroy()));
process.exit(0);
