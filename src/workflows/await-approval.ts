import { condition } from '@temporalio/workflow';
import type { Decision } from '../domain/run/decision.ts';
import { callOfApproval } from '../domain/run/messages.ts';
import type { Observation } from '../domain/run/observation.ts';
import type { SentDecision } from '../domain/run/run.ts';
import { rows } from './activity-options.ts';
import { present } from './present.ts';
import { observe, type Shell } from './shell.ts';
import { untilCalledOff } from './until-called-off.ts';

type AwaitApproval = Decision & { readonly kind: 'await-approval' };

/** Asks a person for a call, waits for the decision or the deadline, and has what was decided written. The deadline is a timer. */
export async function awaitApproval(shell: Shell, asked: AwaitApproval): Promise<Observation> {
  const { turn, call } = asked;
  const deadlineAt = await untilCalledOff(shell, () => {
    const summary = `turn ${turn}: ${call.tool} needs approval`;
    return rows(shell.run, summary).requestApproval({ ...inputOf(shell), turn, call });
  });
  if (deadlineAt === null) return { kind: 'called-off' };
  const decided = () => callOfApproval(shell.run, call.approval?.id ?? '')?.approval?.decision;
  const isOpen = decided() === undefined && Date.now() < deadlineAt;
  if (shell.run.blocked !== null && isOpen) {
    // The question stands and nobody has answered it, so what kept it from being asked is over.
    observe(shell, { kind: 'unblocked' });
    present(shell, asked);
  }
  await condition(() => decided() !== undefined || shell.run.stop !== null, Math.max(1, deadlineAt - Date.now()), {
    summary: `approval of ${call.tool} expires`,
  });
  const decision = decided() ?? null;
  if (decision === null && shell.run.stop !== null) return { kind: 'called-off' };
  observe(shell, { kind: 'approval-settling', index: call.index });
  return (await untilCalledOff(shell, () => settle(shell, asked, decision))) ?? { kind: 'called-off' };
}

async function settle(
  shell: Shell,
  { turn, call }: AwaitApproval,
  decision: SentDecision | null,
): Promise<Observation> {
  const settled = { ...inputOf(shell), turn, call, decision };
  const summary = `turn ${turn}: ${call.tool} ${decision?.decision.kind ?? 'expired'}`;
  const result = await rows(shell.run, summary).settleApproval(settled);
  if (result.kind === 'invalid-edit' && decision !== null) {
    shell.rejected.push({
      id: decision.id,
      kind: 'decideApproval',
      problem: `the edited arguments are not valid: ${result.message}`,
    });
  }
  return { kind: 'approval-settled', index: call.index, result };
}

function inputOf({ run }: Shell): { readonly tenant: string; readonly patient?: true } {
  return { tenant: run.start.tenant, ...(run.blocked === null ? {} : { patient: true }) };
}
