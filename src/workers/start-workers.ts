import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { NativeConnection, type NativeConnectionOptions, Worker, type WorkerOptions } from '@temporalio/worker';
import { createModelActivities, createRunActivities, createToolActivity } from '../activities/create-activities.ts';
import type { ActivityDependencies } from '../activities/dependencies.ts';
import { createModels, effectiveModelId } from '../activities/model/providers.ts';
import type { ScriptedModel } from '../activities/model/scripted-model.ts';
import { servedTools } from '../activities/tool/find-tool.ts';
import type { Agent } from '../authoring/define-agent.ts';
import type { Environment, WorkerConfig } from '../runtime/config.ts';
import { armFailpoints } from '../runtime/failpoints.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { openDatabase } from '../stores/database.ts';
import { createStores } from '../stores/stores.ts';
import { bundleWorkflows } from './bundle-workflows.ts';
import { installRuntime } from './install-runtime.ts';
import { keepHouse } from './keep-house.ts';
import { observeActivities } from './observe-activities.ts';
import { taskFailpoint } from './task-failpoint.ts';
import { commonOptions, MODEL_OPTIONS, WORKFLOW_OPTIONS } from './worker-options.ts';

export type WorkersSetup = {
  readonly config: WorkerConfig;
  readonly temporal: { readonly connectionOptions: NativeConnectionOptions; readonly namespace: string };
  readonly agents: ReadonlyMap<string, Agent>;
  /** Where models find their keys and tools their secrets. Read at each call. */
  readonly env: Environment;
  readonly logger: Logger;
  /** Scripted models by name, for tests. */
  readonly scripts?: ReadonlyMap<string, ScriptedModel>;
  /** Tracing of this process; null or absent where it is off. Whoever started it shuts it down, after the workers. */
  readonly telemetry?: Telemetry | null;
};

export type Workers = {
  /** Rejects when a worker fails for good; never resolves before the shutdown. */
  readonly finished: Promise<void>;
  /** Takes no new work, lets what is in flight finish within its grace time, hands back the rest. */
  readonly shutdown: () => Promise<void>;
};

/** Starts the workers of the configured roles in this process. */
export async function startWorkers(setup: WorkersSetup): Promise<Workers> {
  const { config, temporal, logger } = setup;
  installRuntime(logger);
  const db = openDatabase(config.databaseUrl, (error) => logger.warn({ err: error }, 'a database connection broke'));
  const connection = await NativeConnection.connect(temporal.connectionOptions);
  // Short, because it stands in every event of every history; random, because it names this process among others.
  const identity = `w-${randomBytes(3).toString('hex')}`;
  const dependencies = createDependencies(setup, db, identity);
  const workers: Worker[] = [];
  for (const options of await workersOf(setup, dependencies)) {
    const shared = commonOptions(setup.agents.values(), identity, config.buildId);
    const observed = observedOptions(setup, dependencies);
    workers.push(
      await Worker.create({ ...shared, ...observed, connection, namespace: temporal.namespace, ...options }),
    );
  }
  const house = config.roles.includes('ops') ? keepHouse(db, logger) : null;
  const finished = runAll(workers, async () => {
    house?.stop();
    await connection.close();
    await db.destroy();
  });
  // Whoever started the workers hears of a failure when it awaits `finished`; until then it must not end the process.
  finished.catch(() => undefined);
  return {
    finished,
    shutdown: async () => {
      stopAll(workers);
      await finished;
    },
  };
}

/** Runs workers until they are stopped. When one fails the others are stopped too: half a process serves nobody. */
async function runAll(workers: readonly Worker[], close: () => Promise<void>): Promise<void> {
  const runs = workers.map((worker) => worker.run());
  try {
    await Promise.all(runs);
  } catch (error) {
    stopAll(workers);
    await Promise.allSettled(runs);
    throw error;
  } finally {
    await close();
  }
}

function stopAll(workers: readonly Worker[]): void {
  for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
}

/** Logs and traces of every activity, and what the traced workflow bundle calls. The package's span is outermost: ours describes it. */
function observedOptions({ telemetry }: WorkersSetup, { stores }: ActivityDependencies) {
  const observe = observeActivities(stores.runs.factsOf);
  return {
    interceptors: { activity: telemetry ? [telemetry.activity, observe] : [observe] },
    ...(telemetry ? { sinks: telemetry.sinks } : {}),
  } satisfies Partial<WorkerOptions>;
}

function createDependencies(
  setup: WorkersSetup,
  db: ReturnType<typeof openDatabase>,
  worker: string,
): ActivityDependencies {
  const { config, agents, env, scripts, telemetry } = setup;
  const failpoint = armFailpoints(env);
  const rehearsals = new Map(
    [...agents].flatMap(([name, { rehearsal }]) => (rehearsal === undefined ? [] : [[name, rehearsal]])),
  );
  return {
    stores: createStores(db, { failpoint }),
    agents,
    models: createModels({
      env,
      rehearsals,
      readFile: (path) => readFileSync(path, 'utf8'),
      ...(scripts === undefined ? {} : { scripts }),
    }),
    effectiveModelId: (id) => effectiveModelId(id, env),
    secret: (name) => env[name],
    failpoint,
    settings: {
      queuePrefix: config.queuePrefix,
      turnsPerExecution: config.turnsPerExecution,
      modelTimeoutMs: config.modelTimeoutMs,
      worker,
    },
    ...(telemetry ? { spans: telemetry.spans } : {}),
  };
}

/** One worker per task queue of the roles, so that each scales on its own. */
async function workersOf(
  { config, agents, env, telemetry }: WorkersSetup,
  dependencies: ActivityDependencies,
): Promise<WorkerOptions[]> {
  const { queuePrefix, roles } = config;
  const tool = createToolActivity(dependencies);
  const options: WorkerOptions[] = [];
  if (roles.includes('agents')) {
    options.push({
      taskQueue: `${queuePrefix}-agents`,
      workflowBundle: await bundleWorkflows(telemetry ? 'traced' : 'plain'),
      activities: { ...createRunActivities(dependencies), ...tool },
      ...WORKFLOW_OPTIONS,
      ...taskFailpoint(env, dependencies.failpoint),
    });
  }
  if (roles.includes('models')) {
    options.push({
      taskQueue: `${queuePrefix}-models`,
      activities: createModelActivities(dependencies),
      ...MODEL_OPTIONS,
    });
  }
  if (roles.includes('tools')) {
    const own = [...agents.values()].flatMap((agent) => servedTools(agent).flatMap(({ taskQueue }) => taskQueue ?? []));
    const queues = [`${queuePrefix}-tools`, ...new Set(own.map((name) => `${queuePrefix}-tool-${name}`))];
    options.push(...queues.map((taskQueue) => ({ taskQueue, activities: tool })));
  }
  return options;
}
