import { condition } from '@temporalio/workflow';
import type { Decision } from '../domain/run/decision.ts';
import { callOfApproval } from '../domain/run/messages.ts';
import type { Observation } from '../domain/run/observation.ts';
import { rows } from './activity-options.ts';
import type { Shell } from './shell.ts';

/** Asks a person for a call, waits for the decision or the deadline, and has what was decided written. The deadline is a timer. */
export async function awaitApproval(
  shell: Shell,
  { turn, call }: Decision & { kind: 'await-approval' },
): Promise<Observation> {
  const { tenant } = shell.run.start;
  const patience = shell.run.blocked === null ? {} : ({ patient: true } as const);
  const approvalId = call.approval?.id ?? '';
  const decided = () => callOfApproval(shell.run, approvalId)?.approval?.decision;
  const summary = `turn ${turn}: ${call.tool} needs approval`;
  const deadlineAt = await rows(shell.run, summary).requestApproval({ tenant, turn, call, ...patience });
  await condition(() => decided() !== undefined, Math.max(1, deadlineAt - Date.now()), {
    summary: `approval of ${call.tool} expires`,
  });
  const decision = decided() ?? null;
  const result = await rows(
    shell.run,
    `turn ${turn}: ${call.tool} ${decision?.decision.kind ?? 'expired'}`,
  ).settleApproval({
    tenant,
    turn,
    call,
    decision,
    ...patience,
  });
  if (result.kind === 'invalid-edit' && decision !== null) {
    shell.rejected.push({
      id: decision.id,
      kind: 'decideApproval',
      problem: `the edited arguments are not valid: ${result.message}`,
    });
  }
  return { kind: 'approval-settled', index: call.index, result };
}
