import { randomUUID } from 'node:crypto';
import type { RunKind } from '../domain/run/start.ts';
import type { RunRecord } from '../domain/schemas/run-records.ts';
import { hashId } from '../domain/sha-256.ts';
import { type ClientContext, readerOf } from './context.ts';
import { InvalidInput, RunNotFound } from './errors.ts';
import { readFirstInput } from './read-first-input.ts';
import { launchRun, readStart, type StartOptions } from './start-run.ts';

/** How to take up a run that has ended. Its agent, kind, subject and input are those of the run. */
export type RetryOptions = Pick<
  StartOptions,
  'tenant' | 'principal' | 'limits' | 'deadlineMs' | 'tier' | 'whenExhausted'
> & {
  /** The first turn that is made anew, from 1 to one more than the run has. Default: the run goes on where it stopped. */
  readonly fromTurn?: number;
  /** The same run, turn and key start one successor, for ever. Default: random. */
  readonly key?: string;
};

/**
 * Starts a run that takes up one that has ended, on today's build. What is checked here is checked again when the run is admitted.
 *
 * @returns the successor's id and its tenant.
 * @throws RunNotFound
 * @throws InvalidInput when the run has not ended, or has no such turn.
 */
export async function retryRun(
  context: ClientContext,
  agentRunId: string,
  { fromTurn, key = randomUUID(), ...options }: RetryOptions = {},
): Promise<{ readonly id: string; readonly tenant: string }> {
  const record = await findRecord(context, agentRunId, options.tenant);
  const problem = record.end === null ? notEnded(record) : turnProblem(record, fromTurn);
  if (problem !== null) throw new InvalidInput(problem);
  const start = readStart(context, {
    ...options,
    agent: record.agent,
    tenant: record.tenant,
    kind: record.kind as RunKind,
    input: `retry of ${agentRunId}`,
    startKey: `retry:${hashId(agentRunId, String(fromTurn ?? 'stop'), key)}`,
  });
  return launchRun(context, {
    ...start,
    // A run without a turn may have ended before its input was read.
    ...(record.turns === 0 ? await readFirstInput(context, agentRunId) : { input: '' }),
    retryOf: { runId: agentRunId, ...(fromTurn === undefined ? {} : { fromTurn }) },
  });
}

async function findRecord(context: ClientContext, agentRunId: string, tenant: string | undefined): Promise<RunRecord> {
  const reader = readerOf(context, 'retry()');
  const owner = tenant ?? (await reader.findTenant(agentRunId));
  const record = owner === null ? null : await reader.run(owner, agentRunId);
  if (record !== null) return record;
  throw new RunNotFound(agentRunId, tenant === undefined ? 'the database' : `tenant ${tenant}`);
}

function notEnded({ id, phase }: RunRecord): string {
  return `run ${id} is ${phase} and can only be taken up once it has ended; stop it first, or say retry to it as it is`;
}

function turnProblem({ id, turns }: RunRecord, fromTurn: number | undefined): string | null {
  if (fromTurn === undefined) return null;
  if (Number.isInteger(fromTurn) && fromTurn >= 1 && fromTurn <= turns + 1) return null;
  return `run ${id} has ${turns} turns: fromTurn must be a whole number from 1 to ${turns + 1}, got ${fromTurn}`;
}
