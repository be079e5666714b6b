import { log } from '@temporalio/workflow';
import type { Phase } from '../domain/run/phase.ts';
import type { RunEnd } from '../domain/run/run-end.ts';
import type { Run } from '../domain/run/run.ts';

/** Tells operators that a run became blocked, or goes on. Replay-safe: the SDK's log is silent on replay. */
export function logPhase(run: Run, before: Phase, phase: Phase): void {
  if (phase === 'blocked') {
    const cause = run.blocked === null ? {} : { cause: run.blocked.cause };
    log.info('run blocked', { ...fieldsOf(run), ...cause });
  } else if (before === 'blocked') log.info('run unblocked', fieldsOf(run));
}

/** Tells operators how a run ended. */
export function logEnd(run: Run, { outcome }: RunEnd): void {
  const cause = outcome.kind === 'failed' ? { cause: outcome.cause } : {};
  log.info('run ended', { ...fieldsOf(run), outcome: outcome.kind, ...cause });
}

function fieldsOf({ start, turn, plan }: Run): Record<string, unknown> {
  const release = plan === null ? {} : { release: plan.release };
  return { tenant: start.tenant, agent: start.agent, turn, ...release };
}
