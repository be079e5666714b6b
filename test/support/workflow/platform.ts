import { randomBytes } from 'node:crypto';
import { Client, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { type SearchAttributePair, TypedSearchAttributes } from '@temporalio/common';
import type { ScriptedModel } from '../../../src/activities/model/scripted-model.ts';
import type { Agent } from '../../../src/authoring/index.ts';
import type { RunEnd } from '../../../src/domain/run/run-end.ts';
import type { RunStart } from '../../../src/domain/run/start.ts';
import { hashId } from '../../../src/domain/sha-256.ts';
import { connectToTemporal } from '../../../src/runtime/connection.ts';
import { readWorkerConfig } from '../../../src/runtime/config.ts';
import { createLogger } from '../../../src/runtime/logger.ts';
import { type Db, openDatabase } from '../../../src/stores/database.ts';
import { migrate } from '../../../src/stores/migrate.ts';
import { createStores, type Stores } from '../../../src/stores/stores.ts';
import { startWorkers, type Workers } from '../../../src/workers/start-workers.ts';
import { startTestServers } from '../servers.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

export type RunHandle = WorkflowHandleWithFirstExecutionRunId<(input: RunStart) => Promise<RunEnd>>;

export type PlatformSetup = {
  readonly agents: readonly Agent[];
  /** By name: the model `scripted:<name>`. */
  readonly scripts?: Readonly<Record<string, ScriptedModel>>;
  /** Of the workers; the object may be changed while they run. */
  readonly env?: Record<string, string>;
  /** Another Temporal server than the one all tests share, with its client. */
  readonly temporal?: { readonly address: string; readonly client: Client };
  /** How the workers reach the database, where it is not directly. */
  readonly databaseUrl?: string;
};

/** Workers in this process, on queues, tenant and ids of their own, with a client and a look into the database. */
export type Platform = {
  readonly client: Client;
  readonly db: Db;
  readonly stores: Stores;
  readonly tenant: string;
  readonly queuePrefix: string;
  readonly start: (agent: string, input: string, options?: Partial<RunStart>) => Promise<RunHandle>;
  /** Starts workers beside those that run; `change` replaces parts of the setup from then on. */
  readonly startWorkers: (change?: Partial<PlatformSetup>) => Promise<void>;
  readonly stopWorkers: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** Starts a platform. Its workers run until `stopWorkers` or `close`. */
export async function startPlatform(setup: PlatformSetup): Promise<Platform> {
  const servers = await startTestServers();
  const { address } = setup.temporal ?? servers.temporal;
  const db = openDatabase(servers.postgres.url, () => undefined);
  await migrate(db);
  const { namespace } = setup.temporal?.client.options ?? servers.temporal;
  const connection = await connectToTemporal({ address });
  const client = setup.temporal?.client ?? new Client({ connection, namespace, identity: 'c-tests' });
  const id = randomBytes(3).toString('hex');
  const [queuePrefix, tenant] = [`t-${id}`, `tenant-${id}`];
  let current = setup;
  let workers: Workers[] = [];
  const stopWorkers = async (): Promise<void> => {
    await Promise.all(workers.map(async (each) => each.shutdown()));
    workers = [];
  };
  const run = async (change: Partial<PlatformSetup> = {}): Promise<void> => {
    current = { ...current, ...change };
    const env: Record<string, string> = current.env ?? {};
    env['DATABASE_URL'] = current.databaseUrl ?? servers.postgres.url;
    env['PERDURE_QUEUE_PREFIX'] = queuePrefix;
    const started = await startWorkers({
      config: readWorkerConfig(env),
      temporal: { connectionOptions: { address }, namespace },
      agents: new Map(current.agents.map((agent) => [agent.name, agent])),
      env,
      logger: createLogger(process.env['PERDURE_TEST_LOG'] ?? 'fatal'),
      scripts: new Map(Object.entries(current.scripts ?? {})),
    });
    workers.push(started);
  };
  await run();
  return {
    client,
    db,
    stores: createStores(db),
    tenant,
    queuePrefix,
    start: (agent, input, options = {}) => startRun({ client, tenant, queuePrefix }, agent, input, options),
    startWorkers: run,
    stopWorkers,
    close: async () => {
      await stopWorkers();
      await connection.close();
      await db.destroy();
    },
  };
}

/** Starts a run as a client does, with a start key of its own. */
async function startRun(
  { client, tenant, queuePrefix }: Pick<Platform, 'client' | 'tenant' | 'queuePrefix'>,
  agent: string,
  input: string,
  options: Partial<RunStart>,
): Promise<RunHandle> {
  const start: RunStart = {
    tenant,
    principal: 'ann',
    agent,
    input,
    startKey: randomBytes(6).toString('hex'),
    kind: 'single',
    mode: 'live',
    deadlineAt: Date.now() + 7 * DAY_MS,
    whenExhausted: 'wait',
    ...options,
  };
  return client.workflow.start<(given: RunStart) => Promise<RunEnd>>('agentRun', {
    args: [start],
    taskQueue: `${queuePrefix}-agents`,
    workflowId: hashId(tenant, start.kind, start.startKey),
    workflowTaskTimeout: '2s',
    staticSummary: `${agent}: ${input.slice(0, 80)}`,
    typedSearchAttributes: new TypedSearchAttributes([
      keyword('PerdureTenant', tenant),
      keyword('PerdureAgent', agent),
      keyword('PerdureMode', start.mode),
      keyword('PerdurePhase', 'running'),
    ]),
  });
}

function keyword(name: string, value: string): SearchAttributePair {
  return { key: { name, type: 'KEYWORD' }, value };
}
