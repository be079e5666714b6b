import type { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { CAUSES } from '../../domain/run/cause.ts';
import type { AdmitInput } from '../../domain/run/activity-inputs.ts';
import type { AdmitResult } from '../../domain/run/results.ts';
import type { Outcome, RunEnd } from '../../domain/run/run-end.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { Metrics } from './create-metrics.ts';

/** Finds what is known of a run. */
export type FactsOf = (tenant: string, agentRunId: string) => Promise<RunFacts>;

/**
 * Counts and times every attempt at every activity, so that no activity has lines of its own for it; and the runs that begin and end, which
 * are two of the activities.
 */
export function measureActivities(metrics: Metrics, factsOf: FactsOf) {
  return (context: Context): ActivityInboundCallsInterceptor => ({
    execute: async (input, next) => {
      const startedAt = performance.now();
      const close = (outcome: string, cause: string): void => {
        const activity = context.info.activityType;
        metrics.count('perdure_activity_attempts_total', { activity, outcome, cause });
        const seconds = (performance.now() - startedAt) / 1_000;
        metrics.observe('perdure_activity_duration_seconds', { activity, outcome }, seconds);
      };
      try {
        const result = await next(input);
        close('completed', '');
        countRun(metrics, factsOf, context, input.args[0], result);
        return result;
      } catch (error) {
        close(...outcomeOf(context, error));
        throw error;
      }
    },
  });
}

function outcomeOf({ cancellationSignal, cancellationDetails }: Context, error: unknown): readonly [string, string] {
  if (cancellationSignal.aborted) {
    return [cancellationDetails?.workerShutdown === true ? 'handed-back' : 'cancelled', ''];
  }
  const type = error instanceof ApplicationFailure ? error.type : null;
  return ['failed', CAUSES.find((cause) => cause === type) ?? 'infra'];
}

function countRun(metrics: Metrics, factsOf: FactsOf, { info }: Context, input: unknown, result: unknown): void {
  if (info.activityType === 'admit') return countAdmission(metrics, input as AdmitInput, result as AdmitResult);
  const id = info.workflowExecution?.workflowId;
  if (info.activityType !== 'recordEnd' || id === undefined) return;
  const end = result as RunEnd;
  factsOf((input as { readonly tenant: string }).tenant, id).then(
    ({ agent }) => countEnd(metrics, agent, end),
    // Only a run whose row was erased has no agent.
    () => countEnd(metrics, '', end),
  );
}

function countEnd(metrics: Metrics, agent: string, { outcome, exit }: RunEnd): void {
  metrics.count('perdure_runs_ended_total', { agent, ...wordsOf(outcome) });
  if (exit !== undefined) metrics.count('perdure_early_exits_total', { agent, reason: exit.reason });
}

/** A refused run may name any agent, so that its name is no label. */
function countAdmission(metrics: Metrics, { start }: AdmitInput, result: AdmitResult): void {
  if (result.kind === 'admitted') metrics.count('perdure_runs_started_total', { agent: start.agent });
  if (result.kind === 'refused') {
    metrics.count('perdure_runs_ended_total', { agent: '', outcome: 'refused', cause: '' });
  }
}

function wordsOf(outcome: Outcome): { readonly outcome: string; readonly cause: string } {
  switch (outcome.kind) {
    case 'failed':
      return { outcome: outcome.kind, cause: outcome.cause };
    case 'budget-exhausted':
      return { outcome: outcome.kind, cause: outcome.dimension };
    case 'completed':
    case 'cancelled':
    case 'expired':
    case 'refused':
      return { outcome: outcome.kind, cause: '' };
  }
}
