import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import type { RunPlan } from '../../../src/domain/run/plan.ts';
import type { RunAccounts } from '../../../src/stores/budget-chain.ts';
import { type Db, openDatabase } from '../../../src/stores/database.ts';
import { migrate } from '../../../src/stores/migrate.ts';
import type { NewObservation } from '../../../src/stores/observations.ts';
import { createStores, type Stores } from '../../../src/stores/stores.ts';
import { startTestServers } from '../../support/servers.ts';

export type TestStores = Stores & { readonly tenant: string; readonly close: () => Promise<void> };

/** Opens repositories on the migrated database that all tests share, with a tenant of their own. */
export async function openTestStores(options: { readonly transcriptCacheBytes?: number } = {}): Promise<TestStores> {
  const { postgres } = await startTestServers();
  const db = openDatabase(postgres.url, () => undefined);
  await migrate(db);
  return { ...createStores(db, options), tenant: randomId('tenant'), close: async () => db.destroy() };
}

/** Makes an empty database and gives its address. */
export async function makeDatabase(): Promise<string> {
  const { postgres } = await startTestServers();
  const name = `test_${randomBytes(4).toString('hex')}`;
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  const url = new URL(postgres.url);
  url.pathname = `/${name}`;
  return url.href;
}

/** Opens a database without migrating it. */
export function openBare(url: string): Db {
  return openDatabase(url, () => undefined);
}

export function randomId(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** Admits a run with a cap, and gives its id. */
export async function admitRun(
  { runs, releases, tenant }: TestStores,
  cap: { readonly costPico: string; readonly tokens: number },
  accounts?: RunAccounts,
): Promise<string> {
  const id = randomId('run');
  const limits = { ...cap, turns: 10, toolCalls: 10, activeMs: 60_000 };
  const model = { id: 'scripted:any', outputTokensMax: 1, contextTokensMax: 1 };
  const release = await releases.put({
    agent: 'any',
    instructions: '',
    models: { standard: model },
    tools: [],
    guardrails: [],
    approvals: [],
    limits,
    reflection: null,
  });
  const plan: RunPlan = {
    release,
    limits,
    tools: {},
    modelQueue: 'q',
    modelTimeoutMs: 1,
    turnsPerExecution: 1,
    revisionsMax: null,
  };
  const facts = { id, agent: 'any', kind: 'single', mode: 'live', release, scope: 's', root: id, principal: 'ann' };
  await runs.admit(tenant, {
    ...facts,
    keyHash: id,
    plan,
    deadlineAt: Date.now() + 60_000,
    ...(accounts === undefined ? {} : { accounts }),
  });
  return id;
}

/** An observation of an attempt, with an id of its own. */
export function newObservation(runId: string, turn: number, kind: NewObservation['kind']): NewObservation {
  return {
    id: randomId('observation'),
    runId,
    agent: 'any',
    turn,
    callIndex: kind === 'tool' ? 0 : null,
    kind,
    name: 'any@1',
    release: 'any',
    attempt: 1,
    worker: 'w-000000',
  };
}
