import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import type { Release, RunLimits } from '../../../src/domain/release/release.ts';
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

/** Admits a run of a release for a tenant, and gives its id. */
export async function admitRelease(
  { runs, releases }: Pick<Stores, 'runs' | 'releases'>,
  tenant: string,
  release: Release,
  { limits, scope = 's', accounts }: Admission,
): Promise<string> {
  const id = randomId('run');
  const releaseId = await releases.put(release);
  const plan: RunPlan = {
    release: releaseId,
    limits,
    tools: {},
    modelQueue: 'q',
    modelTimeoutMs: 1,
    turnsPerExecution: 1,
    revisionsMax: null,
  };
  const { agent } = release;
  const facts = { id, agent, kind: 'single', mode: 'live', release: releaseId, scope, root: id, principal: 'ann' };
  await runs.admit(tenant, {
    ...facts,
    keyHash: id,
    plan,
    deadlineAt: Date.now() + 600_000,
    ...(accounts === undefined ? {} : { accounts }),
  });
  return id;
}

type Admission = { readonly limits: RunLimits; readonly scope?: string; readonly accounts?: RunAccounts };

/** Admits a run with a cap, and gives its id. */
export async function admitRun(
  stores: TestStores,
  cap: { readonly costPico: string; readonly tokens: number },
  accounts?: RunAccounts,
): Promise<string> {
  const limits = { ...cap, turns: 10, toolCalls: 10, activeMs: 60_000 };
  const release: Release = {
    agent: 'any',
    instructions: '',
    models: { standard: { id: 'scripted:any', outputTokensMax: 1, contextTokensMax: 1 } },
    tools: [],
    guardrails: [],
    approvals: [],
    limits,
    reflection: null,
  };
  return admitRelease(stores, stores.tenant, release, { limits, ...(accounts === undefined ? {} : { accounts }) });
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
