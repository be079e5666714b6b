import type { WorkerOptions } from '@temporalio/worker';
import { servedTools } from '../activities/tool/find-tool.ts';
import { isWrite } from '../domain/tool/contract.ts';
import type { Agent } from '../authoring/define-agent.ts';

/**
 * Workflow task slots of a worker. With the default of 40 a killed worker's 40 runs need 28 s until the first moves; with 4 it is 1.6 s,
 * because fewer tasks are in flight to time out.
 */
const WORKFLOW_TASK_SLOTS = 4;

/** Heartbeats reach the server this often at most; the SDK's own throttle of 1.6 s would waste the timeout of 2 s. */
const HEARTBEAT_THROTTLE_MS = 400;

/** Time beyond the longest send deadline in which a stopping worker writes what became of its work. */
const SHUTDOWN_MARGIN_MS = 2_000;

/** Grace of a worker without writes: most reads and model calls end within it. */
const GRACE_MS_MIN = 10_000;

/** Options that every worker of a process shares. */
export function commonOptions(agents: Iterable<Agent>, identity: string, buildId: string) {
  return {
    identity,
    buildId,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    shutdownGraceTime: longestSendMs(agents) + SHUTDOWN_MARGIN_MS,
    maxConcurrentActivityTaskExecutions: 100,
  } satisfies Partial<WorkerOptions>;
}

/** Options of the worker that runs workflows. A task stuck to a dead worker is free after a second. */
export const WORKFLOW_OPTIONS = {
  maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASK_SLOTS,
  stickyQueueScheduleToStartTimeout: 1_000,
} satisfies Partial<WorkerOptions>;

/** Options of the worker that calls models. A call waits, for half a minute or more, and holds neither a connection nor a core. */
export const MODEL_OPTIONS = { maxConcurrentActivityTaskExecutions: 200 } satisfies Partial<WorkerOptions>;

/** The longest time that a write may take: a stopping worker lets it finish. Reads and model calls that take longer are made again. */
function longestSendMs(agents: Iterable<Agent>): number {
  let longest = GRACE_MS_MIN;
  for (const agent of agents) {
    for (const { contract, timeoutMs } of servedTools(agent)) {
      if (isWrite(contract.effect)) longest = Math.max(longest, timeoutMs);
    }
  }
  return longest;
}
