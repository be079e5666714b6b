import {
  ActivityFailure,
  CancellationScope,
  proxyActivities,
  setCurrentDetails,
  sleep,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Decision } from '../domain/run/decision.ts';
import { formatUsd } from '../domain/model/price.ts';
import { phaseOf } from '../domain/run/phase.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { Run } from '../domain/run/run.ts';
import { describeCall } from '../domain/run/views.ts';
import type { RunActivities } from '../activities/create-activities.ts';
import { activityOptions, ROW_WORK_MS } from './activity-options.ts';
import { logEnd, logPhase } from './log-run.ts';
import {
  costSearchAttributes,
  endSearchAttributes,
  phaseSearchAttributes,
  releaseSearchAttributes,
} from './search-attributes.ts';
import type { Shell } from './shell.ts';

/**
 * Shows what the run is about to do: live details every time, which cost no history, and search attributes and the row only when the phase
 * changes.
 */
export function present(shell: Shell, decision: Decision): void {
  const { run } = shell;
  setCurrentDetails(detailsOf(run, decision));
  if (!shell.isReleaseShown && run.plan !== null) {
    upsertSearchAttributes(releaseSearchAttributes(run.plan.release));
    shell.isReleaseShown = true;
  }
  const phase = phaseOf(run, decision);
  if (phase === shell.phase || phase === 'ended') return;
  logPhase(run, shell.phase, phase);
  shell.phase = phase;
  upsertSearchAttributes(phaseSearchAttributes(phase, run));
  recordProgress(shell);
}

/** Writes how far the run is to its row, in the background: waiting for a person must not wait for the database. */
export function recordProgress(shell: Shell): void {
  const { run, phase } = shell;
  if (run.plan === null) return;
  shell.cancelProgress();
  const scope = new CancellationScope({ cancellable: true });
  shell.cancelProgress = () => scope.cancel();
  const { recordProgress: record } = proxyActivities<RunActivities>(
    activityOptions({ workMs: ROW_WORK_MS, summary: `phase: ${phase}`, deadlineAt: run.start.deadlineAt }),
  );
  const { tenant } = run.start;
  const progress = {
    tenant,
    phase,
    turns: run.turn,
    toolCalls: run.toolCalls,
    head: run.head,
    blocked: run.blocked,
    actions: run.actions,
  };
  shell.progress = scope.run(() => record({ ...progress, patient: true })).catch(() => undefined);
}

/**
 * Writes the end: the row first, then what the run is found by. The row's account knows what failed and killed calls cost, so the end that
 * it gives is the one that counts.
 */
export async function presentEnd(shell: Shell, decided: RunEnd): Promise<RunEnd> {
  const { run } = shell;
  shell.phase = 'ended';
  shell.cancelProgress();
  const end = run.plan === null || run.earlierEnd !== null ? decided : await writeEnd(run, decided);
  setCurrentDetails(`**${end.outcome.kind}** after ${end.turns} turns, ${formatUsd(BigInt(end.costPico))} USD`);
  upsertSearchAttributes(endSearchAttributes(end));
  logEnd(run, end);
  return end;
}

/** Writes the end to the row. Whatever goes wrong, the run keeps its end: it is tried for a month, and then given without its row. */
async function writeEnd(run: Run, end: RunEnd): Promise<RunEnd> {
  const deadlineAt = Date.now() + END_MS;
  const { tenant, principal } = run.start;
  for (;;) {
    const { recordEnd } = proxyActivities<RunActivities>(
      activityOptions({ workMs: ROW_WORK_MS, summary: `end: ${end.outcome.kind}`, deadlineAt }),
    );
    try {
      return await recordEnd({ tenant, head: run.head, end, principal, actions: run.actions, patient: true });
    } catch (error) {
      if (!(error instanceof ActivityFailure)) throw error;
      if (Date.now() >= deadlineAt) return end;
      await sleep(END_RETRY_MS, { summary: 'the end could not be written; again in an hour' });
    }
  }
}

/** Shows what the run has cost so far, where an execution ends and the run does not. */
export function presentCost(run: Run): void {
  upsertSearchAttributes(costSearchAttributes(run.total.costPico));
}

/** The end of a run is kept even when the database is away for a month. */
const END_MS = 30 * 24 * 60 * 60 * 1000;

/** Pause after a refusal that the server does not retry: a schema that does not fit yet, a right that is missing. */
const END_RETRY_MS = 60 * 60 * 1000;

function detailsOf(run: Run, decision: Decision): string {
  const spent = `turn ${run.turn} · ${run.toolCalls} tool calls · ${formatUsd(BigInt(run.total.costPico))} USD`;
  const lines = [`**${headline(decision)}**`, '', spent];
  if (run.blocked !== null) {
    const { cause, message, mend } = run.blocked;
    lines.push('', `Blocked (${cause}): ${message}`, '', mend ?? 'It goes on by itself when the cause is gone.');
  }
  if (run.answer !== null) lines.push('', `Last answer: ${run.answer.preview}`);
  return lines.join('\n');
}

function headline(decision: Decision): string {
  switch (decision.kind) {
    case 'admit':
      return 'is being admitted';
    case 'perceive':
      return `hears ${decision.inputs.length} messages`;
    case 'call-model':
      return `turn ${decision.turn}: asks the model`;
    case 'compact':
      return `compacts turns 1 to ${decision.through}`;
    case 'call-tools':
      return `turn ${decision.turn}: ${decision.calls.map(describeCall).join(', ')}`;
    case 'await-approval':
      return `turn ${decision.turn}: waits for approval of ${describeCall(decision.call)}`;
    case 'await-deferred':
      return `turn ${decision.turn}: waits for the result of ${decision.calls.map(describeCall).join(', ')}`;
    case 'await-rate':
      return `turn ${decision.turn}: waits for the ${decision.throttle.limit}`;
    case 'await-human':
      return waitHeadline(decision.wait);
    case 'reflect':
      return `turn ${decision.turn}: checks its answer`;
    case 'pause':
      return 'is paused';
    case 'continue-as-new':
      return 'continues as new';
    case 'end':
      return `ends: ${decision.end.outcome.kind}`;
  }
}

function waitHeadline(wait: (Decision & { kind: 'await-human' })['wait']): string {
  switch (wait.kind) {
    case 'message':
      return 'waits for the next message';
    case 'answer':
      return 'waits for an answer to its question';
    case 'top-up':
      return `has used up its ${wait.dimension} and waits for a top-up`;
    case 'unknown-effect':
      return `stopped: nobody knows whether effect ${wait.effectKey} happened. Look, then: perdure effect resolve ${wait.effectKey} --as succeeded|failed`;
  }
}
