import type { ApprovalDecision, RunMessage, RunMessageKind, TopUp } from '../../src/domain/run/message.ts';
import type { Run } from '../../src/domain/run/run.ts';
import type { Choices } from './choices.ts';

/** Makes a message that somebody could send to this run now; some are repeats, some cannot be applied. */
export function sendMessage(choices: Choices, run: Run, sent: readonly RunMessage[]): RunMessage {
  const earlier = sent[choices.below(sent.length + 1)];
  if (earlier !== undefined && choices.isRare(3)) return earlier;
  const envelope = { id: `message-${sent.length}`, principal: 'ann' };
  const kind = choices.oneOf<Exclude<RunMessageKind, 'requestStop'>>([
    'steer',
    'provideInput',
    'provideInput',
    'decideApproval',
    'decideApproval',
    'retry',
    'resume',
    'resume',
    'topUpBudget',
    'pause',
  ]);
  switch (kind) {
    case 'provideInput':
    case 'steer':
      return { ...envelope, kind, text: choices.isRare(8) ? '' : 'go on' };
    case 'topUpBudget':
      return {
        ...envelope,
        kind,
        topUp: choices.oneOf<TopUp>([{ turns: 2 }, { costPico: '500' }, { tokens: 500 }, { toolCalls: 3 }, {}]),
      };
    case 'retry':
    case 'pause':
    case 'resume':
      return { ...envelope, kind };
    case 'decideApproval': {
      const call = run.calls.find(({ approval }) => approval?.isApproved === false);
      const approvalId = call?.approval?.id ?? 'none';
      const argsHash = choices.isRare(6) ? 'other' : (call?.argsHash ?? 'none');
      return { ...envelope, kind, approvalId, argsHash, decision: decide(choices) };
    }
  }
}

function decide(choices: Choices): ApprovalDecision {
  return choices.oneOf<ApprovalDecision>([
    { kind: 'approve' },
    { kind: 'edit', arguments: { id: 'A-2' } },
    { kind: 'reject', reason: 'no' },
    { kind: 'respond', text: 'done by hand' },
  ]);
}
