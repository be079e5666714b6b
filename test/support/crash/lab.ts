import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { toolCallId } from '../../../src/activities/tool/tool-call-id.ts';
import { connectLocally } from '../../../src/cli/dev-stack/local-connection.ts';
import type { FailpointName } from '../../../src/domain/failpoint.ts';
import type { RunEnd } from '../../../src/domain/run/run-end.ts';
import type { RunStart } from '../../../src/domain/run/start.ts';
import { type EffectState, openDatabase } from '../../../src/stores/database.ts';
import { migrate } from '../../../src/stores/migrate.ts';
import { createStores, type Stores } from '../../../src/stores/stores.ts';
import { stateQuery } from '../../../src/workflows/agent-run.messages.ts';
import { type TestServers, testFolder } from '../servers.ts';
import { type Destination, startDestination } from './destination.ts';
import type { Plan } from './plan.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

export const TENANT = 'crash';

export type Handle = WorkflowHandle<() => Promise<RunEnd>>;

export type Effect = { readonly key: string; readonly state: EffectState; readonly turn: number };

/** A set of runs and workers with task queues of its own. */
export type Group = {
  readonly start: (plan: Plan, limits?: RunStart['limits']) => Promise<Handle>;
  /** Starts a worker process. `failpoints` as in `PERDURE_FAILPOINTS`. */
  readonly worker: (armed?: ArmedFailpoints, env?: Readonly<Record<string, string>>, source?: string) => WorkerProcess;
  /** First part of the names of its task queues. */
  readonly prefix: string;
  /** Ends every worker of the group. */
  readonly close: () => Promise<void>;
};

export type ArmedFailpoints = '' | `${FailpointName}=${string}`;

/** The servers, the client and the destination of a test file. */
export type Lab = {
  readonly stores: Stores;
  readonly destination: Destination;
  readonly group: (name: string) => Group;
  /** Gives the state of the only effect of a run; null before its intent. */
  readonly effectOf: (runId: string) => Promise<Effect | null>;
  /** Gives the phase of a run as its row has it. */
  readonly phaseOf: (runId: string) => Promise<string | undefined>;
  /** Gives the attempts at the only effect of a run, in order. */
  readonly effectAttemptsOf: (runId: string) => Promise<readonly (string | null)[]>;
  /** Settles an unknown effect by a person's word. */
  readonly resolveEffect: (runId: string, state: 'succeeded' | 'failed') => Promise<void>;
  /** Gives the key of the effect that a run asks a person about; null when it asks nothing. */
  readonly asksAbout: (handle: Handle) => Promise<string | null>;
  /** Tells a run to look again. */
  readonly retry: (runId: string) => Promise<void>;
  /** Gives what the write of a run returned to the workflow. */
  readonly toolOutcomeOf: (handle: Handle) => Promise<string | undefined>;
  /** Gives the highest attempt of any activity in the history of a run. */
  readonly attemptsOf: (handle: Handle) => Promise<number>;
  readonly close: () => Promise<void>;
};

const agentsDirectory = fileURLToPath(new URL('./agents', import.meta.url));
const DAY_MS = 24 * 60 * 60 * 1000;

/** Opens a lab on running servers. */
export async function openLab(servers: TestServers): Promise<Lab> {
  const folder = await testFolder();
  const db = openDatabase(servers.postgres.url, () => undefined);
  await migrate(db);
  const stores = createStores(db);
  const destination = await startDestination();
  const connection = connectLocally(servers.temporal.address);
  const client = new Client({ connection, namespace: servers.temporal.namespace });
  const groups: Group[] = [];
  const group = (name: string): Group => {
    const prefix = `${name}-${randomBytes(3).toString('hex')}`;
    const workers: WorkerProcess[] = [];
    const made: Group = {
      start: (plan, limits) => startRun(client, `${prefix}-agents`, plan, limits),
      prefix,
      worker: (armed = '', env = {}, source) => {
        const worker = startWorkerProcess(
          folder,
          {
            TEMPORAL_ADDRESS: servers.temporal.address,
            TEMPORAL_NAMESPACE: servers.temporal.namespace,
            DATABASE_URL: servers.postgres.url,
            PERDURE_QUEUE_PREFIX: prefix,
            PERDURE_AGENTS_DIR: agentsDirectory,
            PERDURE_FAILPOINTS: armed,
            DESTINATION_URL: destination.url,
            ...env,
          },
          source,
        );
        workers.push(worker);
        return worker;
      },
      close: async () => {
        await Promise.all(workers.map((worker) => worker.kill()));
      },
    };
    groups.push(made);
    return made;
  };
  const effectOf: Lab['effectOf'] = async (runId) =>
    (await db
      .selectFrom('effects')
      .select(['key', 'state', 'turn'])
      .where('tenant', '=', TENANT)
      .where('run_id', '=', runId)
      .executeTakeFirst()) ?? null;
  return {
    stores,
    destination,
    group,
    effectOf,
    phaseOf: async (runId) => {
      const row = await db
        .selectFrom('runs')
        .select('phase')
        .where('tenant', '=', TENANT)
        .where('id', '=', runId)
        .executeTakeFirst();
      return row?.phase;
    },
    effectAttemptsOf: async (runId) => {
      const rows = await db
        .selectFrom('effect_attempts')
        .select('outcome')
        .where('tenant', '=', TENANT)
        .where('run_id', '=', runId)
        .orderBy('attempt')
        .execute();
      return rows.map(({ outcome }) => outcome);
    },
    resolveEffect: (runId, state) => resolveEffect(stores, effectOf, runId, state),
    retry: (runId) => client.workflow.getHandle(runId).signal('retry', { id: `retry-${runId}`, principal: 'clerk' }),
    asksAbout: async (handle) => (await handle.query(stateQuery)).unknownEffect,
    toolOutcomeOf,
    attemptsOf,
    close: async () => {
      await Promise.all(groups.map((each) => each.close()));
      await Promise.all([destination.close(), connection.close(), db.destroy()]);
    },
  };
}

async function startRun(client: Client, taskQueue: string, plan: Plan, limits?: RunStart['limits']): Promise<Handle> {
  const id = `r${randomBytes(10).toString('hex')}`;
  const start: RunStart = {
    tenant: TENANT,
    principal: 'tests',
    agent: 'crash',
    input: JSON.stringify(plan),
    startKey: id,
    kind: 'single',
    mode: 'live',
    deadlineAt: Date.now() + DAY_MS,
    whenExhausted: 'end',
    ...(limits === undefined ? {} : { limits }),
  };
  return client.workflow.start<(input: RunStart) => Promise<RunEnd>>('agentRun', {
    args: [start],
    workflowId: id,
    taskQueue,
    workflowTaskTimeout: '2s',
  });
}

async function resolveEffect(
  stores: Stores,
  effectOf: Lab['effectOf'],
  runId: string,
  state: 'succeeded' | 'failed',
): Promise<void> {
  const effect = await effectOf(runId);
  if (effect === null) throw new Error(`run ${runId} has no effect`);
  const { scope } = await stores.runs.factsOf(TENANT, runId);
  const ref = await stores.transcripts.writePart(TENANT, scope, {
    kind: 'tool-result',
    toolCallId: toolCallId(effect.turn, 0),
    toolName: 'pay',
    isError: state === 'failed',
    output: `a person looked: it ${state}`,
  });
  await stores.effects.resolve(TENANT, effect.key, { state, ref, principal: 'clerk', reason: 'looked' });
}

async function attemptsOf(handle: Handle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return Math.max(0, ...(events ?? []).map(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? 0));
}

async function toolOutcomeOf(handle: Handle): Promise<string | undefined> {
  const { events } = await handle.fetchHistory();
  const scheduled = events?.find((event) =>
    event.activityTaskScheduledEventAttributes?.activityType?.name?.startsWith('pay'),
  );
  const completed = events?.find(
    ({ activityTaskCompletedEventAttributes: each }) =>
      each !== null && each !== undefined && String(each.scheduledEventId) === String(scheduled?.eventId),
  );
  const [payload] = completed?.activityTaskCompletedEventAttributes?.result?.payloads ?? [];
  if (payload?.data === null || payload?.data === undefined) return undefined;
  return (JSON.parse(Buffer.from(payload.data).toString('utf8')) as { outcome?: string }).outcome;
}
