import { WorkflowNotFoundError } from '@temporalio/client';
import type { Phase } from '../domain/run/phase.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { Blocked } from '../domain/run/run.ts';
import type { TimelineEntry } from '../domain/schemas/run-records.ts';
import type { ClientContext } from './context.ts';
import { readerOf } from './context.ts';
import { pause } from './pause.ts';
import { awaitEnd } from './run-end.ts';

/** What happens in a run, as it is seen from outside. An attempt that is already over when it is first seen comes as both. */
export type RunProgress =
  | { readonly kind: 'began'; readonly entry: TimelineEntry }
  | { readonly kind: 'finished'; readonly entry: TimelineEntry }
  | { readonly kind: 'phase'; readonly phase: Phase; readonly blocked: Blocked | null }
  | { readonly kind: 'ended'; readonly end: RunEnd };

export type FollowOptions = {
  /** Milliseconds between two looks, at least 20. Default 200: a person sees no delay, and a look is two small queries. */
  readonly pollMs?: number;
  /** Stops following; the run goes on. */
  readonly signal?: AbortSignal;
};

/** Milliseconds between two questions to Temporal, which knows of ends that the run's row cannot tell: a refusal, a termination. */
const TEMPORAL_POLL_MS = 1_000;

/** Follows a run until it ends: what it did so far first, then what it does. */
export async function* followRun(
  context: ClientContext,
  agentRunId: string,
  tenant: string | null,
  { pollMs = 200, signal }: FollowOptions,
): AsyncGenerator<RunProgress> {
  const reader = readerOf(context, 'follow()');
  const seen = createMemory();
  let owner = tenant;
  let askAtMs = 0;
  while (!isAborted(signal)) {
    // The row is read before the attempts, so that the last look sees them all.
    owner ??= await reader.findTenant(agentRunId);
    const record = owner === null ? null : await reader.run(owner, agentRunId);
    const isOver = (record?.end ?? null) === null && Date.now() >= askAtMs && (await isClosed(context, agentRunId));
    if (owner !== null) yield* seen.news(await reader.timeline(owner, agentRunId));
    const end = record?.end ?? (isOver ? await awaitEnd(context, agentRunId, owner) : null);
    if (end !== null) {
      yield { kind: 'ended', end };
      return;
    }
    if (record !== null) yield* seen.phase(record.phase, record.blocked);
    if (Date.now() >= askAtMs) askAtMs = Date.now() + TEMPORAL_POLL_MS;
    await pause(Math.max(20, pollMs), signal);
  }
}

/** Tells whether the caller wants no more. */
export function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/**
 * Asks Temporal whether the run's execution is over. A question that waits for the end would be shorter, but the SDK tries it again by a
 * timer that outlives a connection that is closed.
 */
export async function isClosed({ temporal }: ClientContext, agentRunId: string): Promise<boolean> {
  try {
    const { status } = await temporal.workflow.getHandle(agentRunId).describe();
    return status.name !== 'RUNNING';
  } catch (error) {
    // Then the end says why not.
    if (error instanceof WorkflowNotFoundError) return true;
    throw error;
  }
}

/** Remembers what was told already. */
export function createMemory() {
  const told = new Map<string, 'began' | 'finished'>();
  let lastPhase = 'running';
  return {
    *news(timeline: readonly TimelineEntry[]): Generator<RunProgress & { readonly kind: 'began' | 'finished' }> {
      for (const entry of timeline) {
        if (!told.has(entry.id)) {
          told.set(entry.id, 'began');
          yield { kind: 'began', entry };
        }
        if (entry.outcome === 'open' || told.get(entry.id) === 'finished') continue;
        told.set(entry.id, 'finished');
        yield { kind: 'finished', entry };
      }
    },
    *phase(phase: Phase, blocked: Blocked | null): Generator<RunProgress & { readonly kind: 'phase' }> {
      const key = `${phase} ${blocked?.message ?? ''}`;
      if (key === lastPhase || (phase === 'running' && lastPhase === 'running')) return;
      lastPhase = phase === 'running' ? 'running' : key;
      yield { kind: 'phase', phase, blocked };
    },
  };
}
