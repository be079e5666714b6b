import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { NativeConnection, type NativeConnectionOptions, Worker, type WorkerOptions } from '@temporalio/worker';
import { createModelActivities, createRunActivities, createToolActivity } from '../activities/create-activities.ts';
import type { ActivityDependencies } from '../activities/dependencies.ts';
import { effectiveModelId } from '../activities/model/providers.ts';
import { createRouting } from '../activities/model/routing/create-routing.ts';
import type { RecordedModel } from '../activities/recorded/player.ts';
import type { ScriptedModel } from '../activities/model/scripted-model.ts';
import { watchPrices } from '../activities/model/watch-prices.ts';
import { servedTools } from '../activities/tool/find-tool.ts';
import type { Agent } from '../authoring/define-agent.ts';
import type { PriceBook } from '../domain/model/price-table.ts';
import type { Environment, WorkerConfig } from '../runtime/config.ts';
import { armFailpoints } from '../runtime/failpoints.ts';
import type { Logger } from '../runtime/logger.ts';
import { openPriceBook } from '../runtime/price-book.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { type Db, openDatabasePool } from '../stores/database.ts';
import { countPlayedCalls } from '../stores/played-calls.ts';
import { findTenant } from '../stores/run-row-reader.ts';
import { createStores } from '../stores/stores.ts';
import type { ReplyStreams } from '../domain/stream/stream.ts';
import { createWorkerModels } from './create-worker-models.ts';
import { bundleWorkflows } from './bundle-workflows.ts';
import { installMeasuredRuntime, installRuntime } from './install-runtime.ts';
import { keepHouse } from './keep-house.ts';
import { readModelLimits } from './model-limits.ts';
import { observeActivities } from './observe-activities.ts';
import { observeProcess, type ObservedProcess } from './metrics/observe-process.ts';
import { patientFetch } from './patient-fetch.ts';
import { reconcileHeld } from './reconcile-held.ts';
import { reportBudgets, reportCharges } from './report-budgets.ts';
import { reportUnknownPrices, warnOfStalePrices } from './report-prices.ts';
import { startStreamThread } from './start-stream-thread.ts';
import { taskFailpoint } from './task-failpoint.ts';
import { commonOptions, MODEL_OPTIONS, WORKFLOW_OPTIONS } from './worker-options.ts';

/** Milliseconds between two warnings of a stream that nobody can read: it is tried a few times a second. */
const STREAM_WARNING_MS = 60_000;

/** Pause of a timer that only keeps a process alive. */
const STAY_MS = 60_000;

export type WorkersSetup = {
  readonly config: WorkerConfig;
  readonly temporal: { readonly connectionOptions: NativeConnectionOptions; readonly namespace: string };
  readonly agents: ReadonlyMap<string, Agent>;
  /** Where models find their keys and tools their secrets. Read at each call. */
  readonly env: Environment;
  readonly logger: Logger;
  /** Scripted models by name, for tests. */
  readonly scripts?: ReadonlyMap<string, ScriptedModel>;
  /** Recordings by name, for tests; they go before those of a folder. */
  readonly recordings?: ReadonlyMap<string, RecordedModel>;
  /** Tracing of this process; null or absent where it is off. Whoever started it shuts it down, after the workers. */
  readonly telemetry?: Telemetry | null;
};

export type Workers = {
  /** Rejects when a worker fails for good; never resolves before the shutdown. */
  readonly finished: Promise<void>;
  /** Takes no new work, lets what is in flight finish within its grace time, hands back the rest. */
  readonly shutdown: () => Promise<void>;
  /** Where metrics and health are served; null when they are not. */
  readonly metricsUrl: string | null;
};

/** What a start has opened, the first one first. Each is closed where the start fails: a process that serves nobody must end. */
type Opened = (() => unknown)[];

/** Starts the workers of the configured roles in this process. */
export async function startWorkers(setup: WorkersSetup): Promise<Workers> {
  const opened: Opened = [];
  try {
    return await start(setup, opened);
  } catch (error) {
    for (const close of opened.toReversed()) await Promise.resolve(close()).catch(() => undefined);
    throw error;
  }
}

async function start(setup: WorkersSetup, opened: Opened): Promise<Workers> {
  const { config, temporal, logger } = setup;
  const { metricsAddress: address, buildId, queuePrefix } = config;
  const prices = openPriceBook(setup.env);
  const priceWatch = warnOfStalePrices(logger);
  opened.push(() => priceWatch.stop());
  const rules = readModelLimits(setup.env);
  const { db, poolUse } = openDatabasePool(config.databaseUrl, (error) =>
    logger.warn({ err: error }, 'a database connection broke'),
  );
  opened.push(async () => db.destroy());
  const observed = await observeProcess({ address, buildId, poolUse, logger });
  opened.push(async () => observed.close());
  const sdkPort = address === null ? null : await installMeasuredRuntime(logger);
  installRuntime(logger);
  const connection = await NativeConnection.connect(temporal.connectionOptions);
  opened.push(async () => connection.close());
  // Short, because it stands in every event of every history; random, because it names this process among others.
  const identity = `w-${randomBytes(3).toString('hex')}`;
  const rateLimits = { rules, declaredAt: Date.now(), onThrottled: observed.onThrottled };
  const dependencies = { ...createDependencies(setup, db, identity, { ...observed, prices }), rateLimits };
  opened.push(async () => dependencies.streams?.close());
  const workers: Worker[] = [];
  for (const options of await workersOf(setup, dependencies)) {
    const shared = commonOptions(setup.agents.values(), identity, config.buildId);
    const observing = observedOptions(setup, dependencies, observed);
    workers.push(
      await Worker.create({ ...shared, ...observing, connection, namespace: temporal.namespace, ...options }),
    );
  }
  const house = config.roles.includes('ops') ? keepHouse(db, logger) : null;
  const reconciling = config.roles.includes('models') ? reconcileHeld(dependencies, logger) : null;
  const watched = { db, connection, namespace: temporal.namespace, queuePrefix };
  observed.begin(watched, workers, { watches: config.roles.includes('ops'), sdkPort });
  const stop = Promise.withResolvers<void>();
  const finished = runAll(workers, stop.promise, async () => {
    house?.stop();
    await reconciling?.stop();
    priceWatch.stop();
    await observed.close();
    await dependencies.streams?.close();
    await connection.close();
    await db.destroy();
  });
  // Whoever started the workers hears of a failure when it awaits `finished`; until then it must not end the process.
  finished.catch(() => undefined);
  return {
    finished,
    metricsUrl: observed.url,
    shutdown: async () => {
      observed.stopping();
      stop.resolve();
      stopAll(workers);
      await finished;
    },
  };
}

/** Runs workers until they are stopped. When one fails the others are stopped too: half a process serves nobody. */
async function runAll(workers: readonly Worker[], stopped: Promise<void>, close: () => Promise<void>): Promise<void> {
  // A process of the role ops alone has no worker; it stays all the same.
  const runs = workers.length === 0 ? [stayUntil(stopped)] : workers.map((worker) => worker.run());
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

/** Waits, and keeps the process alive meanwhile. */
async function stayUntil(stopped: Promise<void>): Promise<void> {
  const timer = setInterval(() => undefined, STAY_MS);
  await stopped;
  clearInterval(timer);
}

function stopAll(workers: readonly Worker[]): void {
  for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
}

/** Logs, metrics and traces of every activity, and what the traced workflow bundle calls. The package's span is outermost: ours describes it. */
function observedOptions(
  { telemetry }: WorkersSetup,
  { stores }: ActivityDependencies,
  { activityInterceptors }: ObservedProcess,
) {
  const { factsOf } = stores.runs;
  const ours = [observeActivities(factsOf), ...activityInterceptors(factsOf)];
  return {
    interceptors: { activity: telemetry ? [telemetry.activity, ...ours] : ours },
    ...(telemetry ? { sinks: telemetry.sinks } : {}),
  } satisfies Partial<WorkerOptions>;
}

function createDependencies(
  setup: WorkersSetup,
  db: Db,
  worker: string,
  {
    onAttemptClosed,
    onBudgetWarned,
    onUnknownPrice,
    onBreaker,
    onFallback,
    prices,
  }: ObservedProcess & { readonly prices: PriceBook },
): ActivityDependencies {
  const { config, agents, env, logger, scripts, telemetry } = setup;
  const failpoint = armFailpoints(env);
  const rehearsals = new Map(
    [...agents].flatMap(([name, { rehearsal }]) => (rehearsal === undefined ? [] : [[name, rehearsal]])),
  );
  const stores = createStores(db, {
    failpoint,
    onAttemptClosed: reportCharges(logger, onAttemptClosed),
    onBudgetWarned: reportBudgets(logger, onBudgetWarned),
  });
  return {
    stores,
    routing: createRouting({
      breakers: stores.breakers,
      callsMax: config.modelCallsMax,
      onBreaker: (model, status) => {
        logger.warn({ problem: `${model} is ${status}` }, 'the breaker of a model has changed');
        onBreaker(model, status);
      },
      onFallback,
    }),
    agents,
    models: watchPrices(
      createWorkerModels(
        {
          env,
          fetch: patientFetch,
          rehearsals,
          readFile: (path) => readFileSync(path, 'utf8'),
          prices,
          countPlayed: async (run) => {
            const tenant = await findTenant(db, run);
            return tenant === null ? new Map<number, number>() : countPlayedCalls(db, tenant, run);
          },
          ...(scripts === undefined ? {} : { scripts }),
        },
        setup.recordings ?? new Map(),
        logger,
      ),
      reportUnknownPrices(logger, onUnknownPrice),
    ),
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
    ...(config.isStreaming ? { streams: startStreams(setup) } : {}),
  };
}

/** A thread with two connections of its own; none is made before there is something to tell. */
function startStreams({ config, logger }: WorkersSetup): ReplyStreams {
  let warnAtMs = 0;
  const warn = (error: unknown): void => {
    if (Date.now() < warnAtMs) return;
    warnAtMs = Date.now() + STREAM_WARNING_MS;
    logger.warn({ err: error }, 'what models say could not be told to readers; calls are not affected');
  };
  return startStreamThread(config.databaseUrl, warn);
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
