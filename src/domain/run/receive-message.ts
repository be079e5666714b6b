import { nextCall, recordCompletion } from './deferred-calls.ts';
import { LIMITS } from './limits.ts';
import type { RunMessage } from './message.ts';
import { isApplied, messageHash } from './messages.ts';
import type { OperatorAction, Run, WaitingInput } from './run.ts';

/** Records a valid message. The same id changes nothing the second time; the loop acts on what is recorded. */
export function receiveMessage(run: Run, message: RunMessage): Run {
  if (isApplied(run, message.id)) return run;
  const applied = [...run.applied, messageHash(message.id)].slice(-LIMITS.rememberedMessagesMax);
  return apply({ ...run, applied }, message);
}

function apply(run: Run, message: RunMessage): Run {
  const { id, principal } = message;
  switch (message.kind) {
    case 'decideApproval':
      return {
        ...run,
        calls: run.calls.map((call) =>
          call.approval?.id === message.approvalId
            ? { ...call, approval: { ...call.approval, decision: { id, principal, decision: message.decision } } }
            : call,
        ),
      };
    case 'provideInput':
      return wait(run, { ...inputOf(run, message.id, message.text, principal), ...attachmentsOf(message) });
    case 'steer':
      return wait(run, { kind: 'guidance', id, text: message.text, principal });
    case 'topUpBudget':
      return wait(run, { kind: 'top-up', id, topUp: message.topUp, principal });
    case 'retry':
      return { ...noteAction(run, message), blocked: null, unknownEffect: null, retries: run.retries + 1 };
    case 'pause':
      return { ...noteAction(run, message), isPaused: true };
    case 'resume':
      return { ...noteAction(run, message), isPaused: false };
    case 'completeTool':
      return recordCompletion(run, message);
    case 'requestStop':
      return { ...noteAction(run, message), stop: run.stop ?? { kind: 'stop', reason: message.reason } };
  }
}

function attachmentsOf({ attachments }: { readonly attachments?: readonly string[] }): {
  readonly attachments?: readonly string[];
} {
  return attachments === undefined || attachments.length === 0 ? {} : { attachments };
}

function noteAction(run: Run, { id, kind, principal }: OperatorAction): Run {
  return { ...run, actions: [...run.actions, { id, kind, principal }].slice(-LIMITS.operatorActionsMax) };
}

/** An input answers the question that the model asked first, if one is open and not yet answered. */
function inputOf(run: Run, id: string, text: string, principal: string): WaitingInput {
  const call = nextCall(run.calls);
  const isAnswered = run.waiting.some((input) => input.kind === 'answer');
  if (call?.verdict.kind !== 'ask' || isAnswered) return { kind: 'input', id, text, principal };
  return { kind: 'answer', id, text, principal, turn: run.turn, index: call.index };
}

function wait(run: Run, input: WaitingInput): Run {
  return { ...run, waiting: [...run.waiting, input] };
}
