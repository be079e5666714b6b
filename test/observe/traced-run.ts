import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { createClient, type RunHandle } from '../../src/client/index.ts';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import { startTelemetry } from '../../src/runtime/telemetry.ts';
import { type Db, openDatabase } from '../../src/stores/database.ts';
import { migrate } from '../../src/stores/migrate.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { createStores } from '../../src/stores/stores.ts';
import { answerByPlan, providerEnvironment } from '../support/crash/model-answer.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/crash/worker-process.ts';
import { type Collector, startCollector } from '../support/collector.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers, testFolder } from '../support/servers.ts';
import { until } from '../support/workflow/until.ts';

/** What nobody may find in a log or a trace, by where it is said. */
export const PLANTED = {
  instructions: 'planted-in-instructions',
  prompt: 'planted-in-prompt-7d1',
  arguments: 'planted-in-arguments-8e2',
  provider: 'planted-in-provider-error-9f3',
  answer: 'done after',
} as const;

/** Retries a read, refuses, asks for an approval, and with two turns an execution goes on as new. */
const PLAN = {
  note: PLANTED.prompt,
  turns: [
    [{ tool: 'look', input: { id: PLANTED.arguments } }],
    [
      { tool: 'pay', input: { amount: 5, note: PLANTED.arguments } },
      { tool: 'refuse', input: { id: PLANTED.arguments } },
    ],
    [{ tool: 'look', input: { id: PLANTED.arguments } }],
  ],
};

const agentsDirectory = fileURLToPath(new URL('./agents', import.meta.url));

/** A traced client of this process, and worker processes that trace and log everything. */
export type TracedLab = {
  readonly collector: Collector;
  readonly provider: ProviderServer;
  readonly tenant: string;
  readonly db: Db;
  readonly handleOf: (agentRunId: string) => RunHandle;
  /** Every attempt at an activity in the histories of a run, as `type attempt`, in order of the alphabet; and how many executions it had. */
  readonly attemptsOf: (
    run: RunHandle,
  ) => Promise<{ readonly attempts: readonly string[]; readonly executions: number }>;
  readonly worker: (env?: Readonly<Record<string, string>>) => Promise<WorkerProcess>;
  /** Starts a run that needs one approval. `traced: false` is a client that knows nothing of tracing. */
  readonly start: (options?: { readonly traced: boolean }) => Promise<RunHandle>;
  /** A client of Temporal that is traced. */
  readonly temporal: Client;
  readonly close: () => Promise<void>;
};

/** Opens a lab with task queues of its own. */
export async function openTracedLab(): Promise<TracedLab> {
  const servers = await startTestServers();
  const [folder, collector, provider] = await Promise.all([testFolder(), startCollector(), startProviderServer()]);
  provider.always(answerByPlan());
  const stores = createStores(openDatabase(servers.postgres.url, () => undefined));
  await migrate(stores.db);
  const connection = connectLocally(servers.temporal.address);
  const prefix = `o-${randomBytes(3).toString('hex')}`;
  const tenant = `tenant-${prefix}`;
  const { namespace } = servers.temporal;
  // The packages read the variables of the process.
  const own = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, OTEL_BSP_SCHEDULE_DELAY: '200' };
  Object.assign(process.env, own);
  const telemetry = await startTelemetry(process.env, 'perdure-tests');
  for (const name of Object.keys(own)) delete process.env[name];
  if (telemetry === null) throw new Error('tracing is off');
  const setup = {
    connection,
    namespace,
    taskQueue: `${prefix}-agents`,
    principal: 'tester',
    reader: createRunReader(stores),
    answerMs: 20_000,
  };
  const traced = createClient({ ...setup, interceptors: { workflow: [telemetry.client] } });
  const untraced = createClient(setup);
  const workers: WorkerProcess[] = [];
  return {
    collector,
    provider,
    tenant,
    db: stores.db,
    temporal: new Client({ connection, namespace, interceptors: { workflow: [telemetry.client] } }),
    handleOf: (agentRunId) => untraced.run(agentRunId, { tenant }),
    attemptsOf: ({ id }) => attemptsOf(new Client({ connection, namespace }), id),
    worker: async (env = {}) => {
      const worker = startWorkerProcess(folder, {
        TEMPORAL_ADDRESS: servers.temporal.address,
        TEMPORAL_NAMESPACE: namespace,
        DATABASE_URL: servers.postgres.url,
        PERDURE_QUEUE_PREFIX: prefix,
        PERDURE_AGENTS_DIR: agentsDirectory,
        PERDURE_TURNS_PER_EXECUTION: '2',
        PERDURE_LOG_LEVEL: 'debug',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-planted=header',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=tests',
        ...providerEnvironment(provider.baseUrl),
        ...env,
      });
      workers.push(worker);
      await worker.ready;
      return worker;
    },
    start: async ({ traced: isTraced } = { traced: true }) =>
      (isTraced ? traced : untraced).start({ agent: 'traced', input: JSON.stringify(PLAN), tenant }),
    close: async () => {
      await Promise.all(workers.map((worker) => worker.kill()));
      await telemetry.shutdown();
      await Promise.all([collector.close(), provider.close(), connection.close(), stores.db.destroy()]);
    },
  };
}

/** Waits until a run asks for its approval, and gives it. */
export async function approve(run: RunHandle): Promise<void> {
  const approval = await until(
    'approval',
    async () => {
      const [pending] = await run.pending();
      return pending?.kind === 'approval' ? pending : null;
    },
    { timeoutMs: 60_000 },
  );
  await run.decideApproval({
    approvalId: approval.approvalId,
    argsHash: approval.argsHash,
    decision: { kind: 'approve' },
  });
}

/** Reads a run's executions from the last to the first. The server tells the number of the attempt that ended an activity. */
async function attemptsOf(client: Client, id: string) {
  const attempts: string[] = [];
  let executions = 0;
  for (let runId: string | undefined = (await client.workflow.getHandle(id).describe()).runId; runId;) {
    executions += 1;
    const { events } = await client.workflow.getHandle(id, runId).fetchHistory();
    const types = new Map<string, string>();
    let before: string | undefined;
    for (const event of events ?? []) {
      before ??= event.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
      const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
      if (type) types.set(String(event.eventId), type);
      const started = event.activityTaskStartedEventAttributes;
      for (let attempt = 1; attempt <= (started?.attempt ?? 0); attempt += 1) {
        attempts.push(`${types.get(String(started?.scheduledEventId))} ${attempt}`);
      }
    }
    runId = before;
  }
  return { attempts: attempts.toSorted(), executions };
}
