import { randomBytes } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import type { RecordedModel } from '../activities/recorded/player.ts';
import type { ScriptedModel } from '../activities/model/scripted-model.ts';
import type { Agent } from '../authoring/define-agent.ts';
import { createClient, type PerdureClient } from '../client/create-client.ts';
import type { RunHandle } from '../client/run-handle.ts';
import type { RunReader } from '../client/run-reader.ts';
import type { StartOptions } from '../client/start-run.ts';
import { connectLocally } from '../cli/dev-stack/local-connection.ts';
import { readWorkerConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/logger.ts';
import { openDatabase } from '../stores/database.ts';
import { migrate } from '../stores/migrate.ts';
import { createRunReader } from '../stores/run-reader.ts';
import { createStores } from '../stores/stores.ts';
import { createStreamListener } from '../stores/stream-listener.ts';
import { startWorkers } from '../workers/start-workers.ts';
import { recordHistory } from './record-history.ts';
import { recordedAgent, scriptedAgent } from './scripted-agent.ts';
import { startTestServers } from './test-servers.ts';

export type TestPlatformSetup = {
  readonly agents: readonly Agent[];
  /** By the agent's name: the model of its runs, whichever its definition names. An agent without one needs a rehearsal. */
  readonly scripts?: Readonly<Record<string, ScriptedModel>>;
  /** By the agent's name: a recording that plays its model. */
  readonly recordings?: Readonly<Record<string, RecordedModel>>;
  /** Variables of the workers: secrets of tools, settings. Nothing of this process's own environment reaches them. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the workers log to stderr: `fatal` (default) to `trace`. */
  readonly logLevel?: string;
};

/** Workers in this process on real servers, with a tenant and task queues of their own. */
export type TestPlatform = {
  readonly tenant: string;
  /** The client library, for what `start` does not give. */
  readonly client: PerdureClient;
  /** What is written about runs: their rows, attempts, effects, audit. */
  readonly reader: RunReader;
  /** Starts a run of one of the agents. */
  readonly start: (
    agent: string,
    input: string,
    options?: Omit<StartOptions, 'agent' | 'input' | 'tenant'>,
  ) => Promise<RunHandle>;
  /**
   * Keeps a run's history for `replayHistories`, unless it is kept already: delete the file to record anew. A run of several executions
   * gets a file for each, numbered. Input and short arguments are in a history as they are, so record no real person's words.
   *
   * @param file Path that ends with `.json`; its folder is made.
   * @returns the files that were written.
   */
  readonly recordHistory: (run: Pick<RunHandle, 'id'>, file: string) => Promise<readonly string[]>;
  /** Stops the workers. The servers end with the process, so that the next platform of the same tests starts at once. */
  readonly stop: () => Promise<void>;
};

/** How long a question to a run may take: what is tested is the answer, not how busy the machine is. */
const ANSWER_MS = 20_000;

/**
 * Starts agents for a test: Temporal and PostgreSQL of the test process's own, whatever its environment names, with empty data; they are
 * started once per process. Workers of all roles run in this process.
 *
 * @throws TypeError when an agent would call a provider, or a script belongs to no agent.
 */
export async function startTestPlatform(setup: TestPlatformSetup): Promise<TestPlatform> {
  const agents = agentsOf(setup);
  const servers = await startTestServers();
  const { address, namespace } = servers.temporal;
  const id = randomBytes(3).toString('hex');
  const [queuePrefix, tenant] = [`t-${id}`, `tenant-${id}`];
  const env = { ...setup.env, DATABASE_URL: servers.postgres.url, PERDURE_QUEUE_PREFIX: queuePrefix };
  const config = readWorkerConfig(env);
  const db = openDatabase(servers.postgres.url, () => undefined);
  await migrate(db);
  const workers = await startWorkers({
    config,
    temporal: { connectionOptions: { address }, namespace },
    agents,
    env,
    logger: createLogger(setup.logLevel ?? 'fatal'),
    scripts: new Map(Object.entries(setup.scripts ?? {})),
    recordings: new Map(Object.entries(setup.recordings ?? {})),
  });
  const connection: Connection = connectLocally(address);
  const listener = createStreamListener(servers.postgres.url);
  const reader = createRunReader(createStores(db), listener);
  const taskQueue = `${queuePrefix}-agents`;
  const client = createClient({ connection, namespace, taskQueue, reader, principal: 'tester', answerMs: ANSWER_MS });
  return {
    tenant,
    client,
    reader,
    start: (agent, input, options = {}) => client.start({ ...options, agent, input, tenant }),
    recordHistory: (run, file) => recordHistory(new Client({ connection, namespace }), run.id, file),
    stop: async () => {
      await workers.shutdown();
      await connection.close();
      await listener.close();
      await db.destroy();
    },
  };
}

function agentsOf({ agents, scripts = {}, recordings = {}, env = {} }: TestPlatformSetup): ReadonlyMap<string, Agent> {
  const names = agents.map(({ name }) => name);
  const stray = Object.keys({ ...scripts, ...recordings }).find((name) => !names.includes(name));
  if (stray !== undefined) {
    throw new TypeError(
      `There is a ${stray in scripts ? 'script' : 'recording'} for ${stray}, which is none of the agents: ${names.join(', ')}`,
    );
  }
  return new Map(
    agents.map((agent) => {
      if (recordings[agent.name] !== undefined) return [agent.name, recordedAgent(agent)];
      return [agent.name, scripts[agent.name] === undefined ? ownModel(agent, env) : scriptedAgent(agent)];
    }),
  );
}

/** @throws TypeError for an agent that would call a provider without a key, or play a recording that is nowhere. */
function ownModel(agent: Agent, env: Readonly<Record<string, string>>): Agent {
  const { id } = agent.models.standard;
  const isReachable = ['OPENAI_API_KEY', 'OPENAI_API_KEY_FILE', 'PERDURE_MODEL_BASE_URL'].some((name) => env[name]);
  if (
    isReachable ||
    (id.startsWith('recorded:') && env['PERDURE_RECORDINGS_DIR']) ||
    (id.startsWith('rehearsal:') && agent.rehearsal !== undefined)
  )
    return agent;
  throw new TypeError(
    `The agent ${agent.name} has the model ${id}: give it a script, or give the workers a provider in env`,
  );
}
