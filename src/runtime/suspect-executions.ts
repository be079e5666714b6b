import { isGrpcServiceError } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import type { TemporalPort } from './queue-pollers.ts';

/** A run that Temporal's own list points at. */
export type Suspect = {
  readonly tenant: string;
  readonly id: string;
  readonly agent: string;
  /** In milliseconds since the epoch. */
  readonly startedAt: number;
};

export type SuspectFilter = {
  readonly taskQueue: string;
  /** Runs that no worker has admitted after so many milliseconds are suspect. */
  readonly unadmittedMs: number;
  readonly limit: number;
};

/** Milliseconds for one answer. */
const LIST_ANSWER_MS = 5_000;

/** What a server says when it does not know a search attribute. */
const INVALID_ARGUMENT = 3;

/** The server sets this after some failures in a row of one workflow task, and takes it away after a success. */
const PROBLEMS = `TemporalReportedProblems IN ('category=WorkflowTaskFailed', 'category=WorkflowTaskTimedOut')`;

/**
 * Lists runs whose workflow task the server reports as failing, whatever their rows say, and runs that were started and never admitted, which
 * have no row. Two questions to the server, whatever the number of runs.
 */
export async function listSuspects(
  port: TemporalPort,
  { taskQueue, unadmittedMs, limit }: SuspectFilter,
): Promise<readonly Suspect[]> {
  const open = `WorkflowType = 'agentRun' AND ExecutionStatus = 'Running' AND TaskQueue = '${taskQueue}'`;
  const startedBefore = new Date(Date.now() - unadmittedMs).toISOString();
  const [failing, unadmitted] = await Promise.all([
    list(port, `${open} AND ${PROBLEMS}`, limit),
    list(port, `${open} AND PerdureRelease IS NULL AND StartTime < '${startedBefore}'`, limit),
  ]);
  return [...new Map([...failing, ...unadmitted].map((suspect) => [suspect.id, suspect])).values()];
}

async function list(
  { connection, namespace }: TemporalPort,
  query: string,
  pageSize: number,
): Promise<readonly Suspect[]> {
  try {
    const { executions } = await connection.withDeadline(Date.now() + LIST_ANSWER_MS, () =>
      connection.workflowService.listWorkflowExecutions({ namespace, pageSize, query }),
    );
    return (executions ?? []).map(({ execution, searchAttributes, startTime }) => ({
      id: execution?.workflowId ?? '',
      tenant: keyword(searchAttributes?.indexedFields?.['PerdureTenant']?.data),
      agent: keyword(searchAttributes?.indexedFields?.['PerdureAgent']?.data),
      startedAt: optionalTsToMs(startTime) ?? Date.now(),
    }));
  } catch (error) {
    // An older server does not report problems; what the rows point at is found all the same.
    if (isGrpcServiceError(error) && (error.code as number) === INVALID_ARGUMENT) return [];
    throw error;
  }
}

function keyword(data: Uint8Array | null | undefined): string {
  return data === null || data === undefined ? '' : String(JSON.parse(Buffer.from(data).toString('utf8')));
}
