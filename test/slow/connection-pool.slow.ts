// Goal: 200 model calls of 30 s at once need no more than the 10 connections of one process; none is held while a model works.
// Method: one worker process and a provider that answers after 30 s; PostgreSQL's own list of sessions is read all the while.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Lab, openLab } from '../support/crash/lab.ts';
import { answerByPlan, providerEnvironment } from '../support/crash/model-answer.ts';
import { printTable } from '../support/crash/table.ts';
import { until } from '../support/crash/until.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers, type TestServers } from '../support/servers.ts';

const CALLS = 200;
const CALL_MS = 30_000;
/** Sessions of a process, as `openDatabase` bounds them. */
const CONNECTIONS = 10;

type Sessions = { readonly open: number; readonly inTransaction: number; readonly active: number };

describe('200 model calls at once', function () {
  this.timeout(300_000);
  let servers: TestServers;
  let lab: Lab;
  let provider: ProviderServer;

  before(async () => {
    servers = await startTestServers();
    lab = await openLab(servers);
    provider = await startProviderServer();
    provider.always(answerByPlan(CALL_MS));
  });

  after(async () => {
    await lab.close();
    await provider.close();
  });

  it('hold no connection and no transaction while the model works', async () => {
    const database = new Client({ connectionString: servers.postgres.url });
    await database.connect();
    const group = lab.group('pool');
    const worker = group.worker('', {
      ...providerEnvironment(provider.baseUrl),
      PERDURE_MODEL_CALLS_MAX: String(CALLS),
    });
    await worker.ready;
    const before = await sessionsOf(database);
    const handles = await Promise.all(Array.from({ length: CALLS }, () => group.start({ turns: [] })));
    await until('all calls are under way', () => provider.ledger.length === CALLS);
    const isAnyAnswered = (): boolean => provider.ledger.some(({ delivered }) => delivered);
    const samples: Sessions[] = [];
    while (!isAnyAnswered()) {
      samples.push(await sessionsOf(database));
      await sleep(100);
    }
    const ends = await Promise.all(handles.map(async (handle) => (await handle.result()).outcome.kind));
    await group.close();
    await database.end();
    const most = (field: keyof Sessions): number => Math.max(...samples.map((sample) => sample[field]));
    printTable('sessions of PostgreSQL while 200 calls were under way, the most of any sample', [
      ['samples', 'open', 'in a transaction', 'active'],
      [samples.length, most('open'), most('inTransaction'), most('active')].map(String),
    ]);
    assert.ok(samples.length >= 20, `only ${samples.length} samples while all calls were under way`);
    assert.equal(most('inTransaction'), 0);
    assert.ok(most('open') - before.open <= CONNECTIONS, `${most('open') - before.open} sessions`);
    assert.ok(most('active') < CONNECTIONS, 'the pool has a free connection in every sample, so nobody waits for one');
    assert.deepEqual([...new Set(ends)], ['completed']);
    assert.equal(provider.ledger.length, CALLS, 'each was called once');
  });
});

/** Counts the sessions of others on the database. */
async function sessionsOf(database: Client): Promise<Sessions> {
  const { rows } = await database.query<Sessions>(
    `select count(*)::int as open,
            (count(*) filter (where state like 'idle in transaction%'))::int as "inTransaction",
            (count(*) filter (where state = 'active'))::int as active
       from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  return rows[0] ?? { open: 0, inTransaction: 0, active: 0 };
}
