import type { Phase } from './phase.ts';

export const STUCK_REASONS = [
  'workflow-task-failing',
  'no-worker',
  'activity-failing',
  'nothing-pending',
  'execution-gone',
] as const;

/** Why a run makes no progress although nobody is asked for anything. A closed list: metrics and documents rely on it. */
export type StuckReason = (typeof STUCK_REASONS)[number];

/** What holds a run, and what a person should do. */
export type Stuck = { readonly reason: StuckReason; readonly detail: string; readonly mend: string };

/** Something that Temporal has handed out, or would like to. */
type Pending = {
  /** Counted from 1. */
  readonly attempt: number;
  /** Milliseconds that the attempt has been ready for a worker; null when a worker has it, or when it waits for its next attempt. */
  readonly waitsMs: number | null;
  readonly taskQueue: string;
  /** Whether a worker was seen at its queue lately; null when that was not asked. */
  readonly isServed: boolean | null;
};

/** What Temporal says of the execution behind a run. */
export type ExecutionFacts =
  | { readonly kind: 'gone'; readonly how: string }
  | {
      readonly kind: 'open';
      /** The phase that the workflow itself has shown last. */
      readonly phase: Phase;
      readonly workflowTask: (Pending & { readonly failure: TaskFailure | null }) | null;
      readonly activities: readonly (Pending & {
        readonly type: string;
        readonly failure: { readonly kind: 'timed-out' | 'failed'; readonly message: string } | null;
      })[];
      /** Milliseconds since anything was written of the run. */
      readonly idleMs: number;
      /** Whether it waits for a workflow of its own. */
      readonly hasChildren: boolean;
    };

/** How the newest attempt at a workflow task ended. */
export type TaskFailure = { readonly kind: 'nondeterminism' | 'thrown' | 'timed-out'; readonly message: string };

/** Attempts at one workflow task from which it counts as failing: a worker that dies costs one, and its restart may cost another. */
const TASK_ATTEMPTS_MIN = 3;

/** Milliseconds that something may wait for a worker. Idle workers take it in milliseconds, a restarting one comes back in seconds. */
const UNTAKEN_MS = 15_000;

/** Attempts that ended with their worker before the work is taken for the reason. */
const KILLED_ATTEMPTS_MIN = 5;

/** Attempts that failed: with their pauses they take longer than the minute after which a run says by itself that it is blocked. */
const FAILED_ATTEMPTS_MIN = 20;

/** Milliseconds without anything pending. Nothing that a run at work does leaves it without a pending task for longer than a moment. */
const EMPTY_MS = 30_000;

/** Judges whether a run is stuck; null when it is not. Runs that wait for a person, are blocked or paused can be stuck in their workflow code only. */
export function judgeStuck(facts: ExecutionFacts): Stuck | null {
  if (facts.kind === 'gone') return gone(facts.how);
  const { workflowTask, activities, phase, idleMs, hasChildren } = facts;
  if (workflowTask !== null) {
    if (workflowTask.attempt >= TASK_ATTEMPTS_MIN) return failingTask(workflowTask);
    return (workflowTask.waitsMs ?? 0) > UNTAKEN_MS ? untaken('its next workflow task', workflowTask) : null;
  }
  if (phase !== 'running') return null;
  const waiting = activities.find(({ waitsMs }) => (waitsMs ?? 0) > UNTAKEN_MS);
  if (waiting !== undefined) return untaken(waiting.type, waiting);
  const failing = activities.find(
    ({ attempt, failure }) => attempt > (failure?.kind === 'timed-out' ? KILLED_ATTEMPTS_MIN : FAILED_ATTEMPTS_MIN),
  );
  if (failing !== undefined) {
    return {
      reason: 'activity-failing',
      detail: `attempt ${failing.attempt} at ${failing.type}: ${failing.failure?.message ?? 'no failure is known'}`,
      mend: 'Look into the logs of the workers that serve it: work that ends its process cannot say what is wrong.',
    };
  }
  return activities.length === 0 && !hasChildren && idleMs > EMPTY_MS ? nothingPending() : null;
}

function failingTask({ attempt, failure }: { readonly attempt: number; readonly failure: TaskFailure | null }): Stuck {
  const detail = `attempt ${attempt} at one workflow task${failure === null ? '' : `: ${failure.message}`}`;
  return { reason: 'workflow-task-failing', detail, mend: mendOfTask(failure) };
}

function mendOfTask(failure: TaskFailure | null): string {
  switch (failure?.kind) {
    case 'nondeterminism':
      return 'The workers decide otherwise than the history says: deploy the build that began the run, or one under which perdure replay passes. It then goes on by itself.';
    case 'timed-out':
      return 'Workers take the task and do not finish it within 2 s: give them more CPU, or look for code that blocks. It then goes on by itself.';
    case 'thrown':
    case undefined:
      return 'Workflow code throws: deploy a mended build. The run then goes on by itself, from where it was.';
  }
}

function untaken(what: string, { taskQueue, waitsMs, isServed }: Pending): Stuck {
  const seconds = Math.round((waitsMs ?? 0) / 1_000);
  return {
    reason: 'no-worker',
    detail: `no worker has taken ${what} from the queue ${taskQueue} for ${seconds} s`,
    mend:
      isServed === true
        ? `Workers were seen at the queue ${taskQueue} in the last minute: if they still run, all of them are busy, so start more.`
        : `No worker polls the queue ${taskQueue}: start one of the role that serves it. The run then goes on by itself.`,
  };
}

function nothingPending(): Stuck {
  return {
    reason: 'nothing-pending',
    detail: 'it should be at work, and nothing is scheduled for it',
    mend: 'This is a defect of the workflow: keep its history for a report, then stop the run.',
  };
}

function gone(how: string): Stuck {
  return {
    reason: 'execution-gone',
    detail: `its row says that it is at work, and its execution ${how}`,
    mend: 'Start it again with the key that it was started with: it meets its own row, its money and its effects.',
  };
}
