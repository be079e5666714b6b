import { trace } from '@opentelemetry/api';
import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityExecuteInput, ActivityInterceptorsFactory } from '@temporalio/worker';
import type { FailureDetail } from '../domain/run/cause.ts';
import { ATTRIBUTES } from '../runtime/gen-ai.ts';
import type { LogFields } from '../runtime/log-fields.ts';
import type { RunFacts } from '../stores/runs.ts';

/** A line waits this long for what the run's row says; a database that is away holds up nothing. */
const FACTS_WAIT_MS = 250;

/** What inputs and results of activities say of their run. */
type Told = {
  readonly tenant?: unknown;
  readonly turn?: unknown;
  readonly turns?: unknown;
  readonly start?: { readonly agent?: unknown };
  readonly end?: { readonly turns?: unknown };
  readonly plan?: { readonly release?: unknown };
};

type FactsOf = (tenant: string, agentRunId: string) => Promise<RunFacts>;

/**
 * Tells of every attempt at an activity, whatever it does: a line when it begins, ends or fails, and the same fields on its span. Every
 * line that is written through the activity's context has them. The words of failures stay out, they may repeat what was said; only our own trouble is told.
 */
export function observeActivities(factsOf: FactsOf): ActivityInterceptorsFactory {
  return (context) => {
    const fields: Record<string, unknown> = {};
    return {
      inbound: {
        execute: async (input, next) => {
          const startedAt = performance.now();
          await learn(fields, context, input, factsOf);
          describeSpan(fields, context);
          context.log.debug('attempt began');
          try {
            const result = await next(input);
            const release = (result as Told | null | undefined)?.plan?.release;
            if (release !== undefined) fields['release'] = release;
            context.log.debug('attempt ended', { duration_ms: since(startedAt) });
            return result;
          } catch (error) {
            tellFailure(context, error, since(startedAt));
            throw error;
          } finally {
            describeSpan(fields, context);
          }
        },
      },
      outbound: { getLogAttributes: (attributes, next) => next({ ...attributes, ...fields }) },
    };
  };
}

/** Fills in what is known of the run: from the input at once, from its row where that can be read. A run that is being admitted has none yet. */
async function learn(
  fields: Record<string, unknown>,
  context: Context,
  { args: [input] }: ActivityExecuteInput,
  factsOf: FactsOf,
): Promise<void> {
  const told = (typeof input === 'object' && input !== null ? input : {}) as Told;
  const run = context.info.workflowExecution?.workflowId;
  const turn = told.turn ?? told.turns ?? told.end?.turns;
  if (typeof told.tenant === 'string') fields['tenant'] = told.tenant;
  if (typeof turn === 'number') fields['turn'] = turn;
  if (typeof told.start?.agent === 'string') fields['agent'] = told.start.agent;
  else if (run !== undefined && typeof told.tenant === 'string') {
    const { promise: limit, resolve } = Promise.withResolvers<null>();
    const timer = setTimeout(() => resolve(null), FACTS_WAIT_MS);
    const facts = await Promise.race([factsOf(told.tenant, run).catch(() => null), limit]);
    clearTimeout(timer);
    if (facts !== null) Object.assign(fields, { agent: facts.agent, release: facts.release });
  }
}

function describeSpan(fields: Readonly<Record<string, unknown>>, { info }: Context): void {
  trace.getActiveSpan()?.setAttributes({
    [ATTRIBUTES.run]: info.workflowExecution?.workflowId,
    [ATTRIBUTES.attempt]: info.attempt,
    [ATTRIBUTES.tenant]: textOf(fields['tenant']),
    [ATTRIBUTES.agent]: textOf(fields['agent']),
    [ATTRIBUTES.release]: textOf(fields['release']),
    [ATTRIBUTES.turn]: typeof fields['turn'] === 'number' ? fields['turn'] : undefined,
  });
}

function tellFailure({ log, cancellationSignal }: Context, error: unknown, durationMs: number): void {
  const span = trace.getActiveSpan();
  if (error instanceof CancelledFailure || (cancellationSignal.aborted && !(error instanceof ApplicationFailure))) {
    span?.setAttribute(ATTRIBUTES.outcome, 'cancelled');
    log.debug('attempt was called off', { duration_ms: durationMs });
    return;
  }
  const isOurs = error instanceof ApplicationFailure;
  const cause = isOurs ? (error.type ?? 'infra') : 'infra';
  const detail = isOurs ? (error.details?.[0] as FailureDetail | undefined) : undefined;
  const isRetried = isOurs && error.nonRetryable !== true;
  const told: LogFields = {
    cause,
    disposition: detail?.disposition ?? 'transient',
    retries: isRetried,
    duration_ms: durationMs,
    // Of our own trouble every word is written by us.
    ...(isOurs && cause === 'infra' ? { problem: error.message } : {}),
  };
  span?.setAttribute(ATTRIBUTES.errorType, cause);
  log[cause === 'infra' && !isRetried ? 'error' : 'warn']('attempt failed', { ...told });
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
