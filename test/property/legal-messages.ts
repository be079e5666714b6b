import type { ApprovalDecision, RunMessage, RunMessageKind, TopUp } from '../../src/domain/run/message.ts';
import { makeDeferredToken } from '../../src/domain/run/deferred-token.ts';
import type { PendingCall, Run } from '../../src/domain/run/run.ts';
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
    'completeTool',
    'completeTool',
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
    case 'completeTool': {
      const call = run.calls[choices.below(Math.max(1, run.calls.length))];
      const result = choices.isRare(6) ? { error: 'no' } : { output: { id: 'A-3' } };
      return { ...envelope, kind, token: tokenOf(choices, run, call), result };
    }
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

/** The token of the call: also before the run has heard of it, and now and then a guessed one. */
function tokenOf(choices: Choices, run: Run, call: PendingCall | undefined): string {
  const place = { runId: run.id, turn: run.turn, index: call?.index ?? 7 };
  return choices.isRare(6) ? makeDeferredToken(place, 'g'.repeat(22)) : sampleToken(place.turn, place.index);
}

/** The token that the sample's tools are given. */
export function sampleToken(turn: number, index: number): string {
  return makeDeferredToken({ runId: 'run-1', turn, index }, 's'.repeat(22));
}

function decide(choices: Choices): ApprovalDecision {
  return choices.oneOf<ApprovalDecision>([
    { kind: 'approve' },
    { kind: 'edit', arguments: { id: 'A-2' } },
    { kind: 'reject', reason: 'no' },
    { kind: 'respond', text: 'done by hand' },
  ]);
}
