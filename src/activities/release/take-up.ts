import type { Agent } from '../../authoring/define-agent.ts';
import type { Release } from '../../domain/release/release.ts';
import type { AdmitInput } from '../../domain/run/activity-inputs.ts';
import type { RetryOf } from '../../domain/run/start.ts';
import type { Taken } from '../../domain/run/taken.ts';
import type { EndedRun, Stop } from '../../stores/ended-runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { takeCalls } from './take-calls.ts';

export type TakenUp =
  | { readonly kind: 'taken'; readonly run: EndedRun; readonly taken: Taken }
  | { readonly kind: 'refused'; readonly reason: string };

/** The release that a run is admitted with. */
export type Admitting = { readonly agent: Agent; readonly release: Release; readonly releaseId: string };

/** Finds the run that another one takes up, and what that one goes on from on today's release. It changes nothing but unread texts. */
export async function takeUp(
  dependencies: ActivityDependencies,
  { tenant, start }: AdmitInput,
  retryOf: RetryOf,
  admitting: Admitting,
  successorId: string,
): Promise<TakenUp> {
  const { endedRuns } = dependencies.stores;
  const { runId } = retryOf;
  const run = await endedRuns.find(tenant, runId);
  if (run === null) return refuse(`there is no run ${runId} in tenant ${tenant} that could be taken up`);
  if (run.end === null) return refuse(`run ${runId} has not ended, so it cannot be taken up; stop it first`);
  if (run.agent !== start.agent || run.kind !== start.kind) {
    return refuse(
      `run ${runId} is a ${run.kind} of ${run.agent} and cannot go on as a ${start.kind} of ${start.agent}`,
    );
  }
  const stop = await endedRuns.stopOf(tenant, run);
  // A last answer was given because nothing more could be done: who takes the run up wants more.
  const fromTurn = retryOf.fromTurn ?? (stop.isClosed ? stop.turn : undefined);
  if (fromTurn !== undefined && !(Number.isInteger(fromTurn) && fromTurn >= 1 && fromTurn <= stop.turn + 1)) {
    return refuse(
      `run ${runId} has ${stop.turn} turns, so it can be taken up from turn 1 to ${stop.turn + 1}, not ${fromTurn}`,
    );
  }
  if (fromTurn === undefined || fromTurn > stop.turn) {
    return fromStop(dependencies, tenant, { run, stop, admitting, successorId });
  }
  const taken = await endedRuns.before(tenant, run, fromTurn);
  if (taken === null) return refuse(`what run ${runId} said at turn ${fromTurn} is not stored any more`);
  return { kind: 'taken', run, taken };
}

async function fromStop(
  dependencies: ActivityDependencies,
  tenant: string,
  { run, stop, admitting, successorId }: Stopped,
): Promise<TakenUp> {
  const { open: _open, isClosed: _isClosed, ...rest } = stop;
  const inputs = stop.inputs.flatMap((ref) => ref ?? []);
  if (inputs.length < stop.inputs.length) {
    const again = stop.turn === 0 ? 'start a new run' : `take it up from turn ${stop.turn} or an earlier one`;
    return refuse(`an older version did not note what was said to run ${run.id} after turn ${stop.turn}: ${again}`);
  }
  const calls = await takeCalls(dependencies, tenant, { run, stop, admitting, successorId });
  if (calls.kind === 'refused') return calls;
  const results = [...rest.results, ...calls.results].toSorted((a, b) => a.index - b.index);
  return { kind: 'taken', run, taken: { ...rest, inputs, results, calls: calls.open } };
}

/** A run that stopped, and the one that goes on from there. */
export type Stopped = {
  readonly run: EndedRun;
  readonly stop: Stop;
  readonly admitting: Admitting;
  readonly successorId: string;
};

function refuse(reason: string): { readonly kind: 'refused'; readonly reason: string } {
  return { kind: 'refused', reason };
}
