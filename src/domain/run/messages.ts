import type { JsonValue } from '../json.ts';
import { base64url, sha256 } from '../sha-256.ts';
import { textProblem } from '../text-problem.ts';
import { completionProblem } from './deferred-calls.ts';
import { jsonProblem } from './json-problem.ts';
import { LIMITS } from './limits.ts';
import type { ApprovalDecision, RunMessage } from './message.ts';
import type { PendingCall, Run } from './run.ts';

/** Hashes a message id to 12 bytes: what the continuation remembers of it. */
export function messageHash(id: string): string {
  return base64url(sha256(id)).slice(0, 16);
}

/** Tells whether a message with this id was applied before. */
export function isApplied(run: Run, id: string): boolean {
  return run.applied.includes(messageHash(id));
}

/**
 * Says why a message cannot be applied, or null when it can. Synchronous and read-only: updates are rejected by it before they enter
 * history, signals after.
 */
export function messageProblem(run: Run, message: RunMessage): string | null {
  const problem = envelopeProblem(message);
  if (problem !== null) return problem;
  if (isApplied(run, message.id)) return null;
  const outcome = run.earlierEnd?.outcome ?? run.outcome;
  if (outcome !== null) return `the run has ended (${outcome.kind}); nothing can be changed`;
  if (run.stop !== null && message.kind !== 'requestStop') return 'the run is being stopped; nothing new is taken';
  switch (message.kind) {
    case 'decideApproval':
      return approvalProblem(run, message);
    case 'provideInput':
    case 'steer':
      return (
        crowdProblem(waitingOf(run) + run.inputs.length) ??
        textProblem('text', message.text) ??
        ('attachments' in message ? attachmentsProblem(message.attachments) : null)
      );
    case 'topUpBudget':
      return crowdProblem(run.waiting.length) ?? topUpProblem(message.topUp);
    case 'completeTool':
      return completionProblem(run, message);
    case 'requestStop':
      return textProblem('reason', message.reason);
    case 'retry':
    case 'pause':
    case 'resume':
      return null;
  }
}

/** Finds the call that an approval is about. */
export function callOfApproval(run: Run, approvalId: string): PendingCall | undefined {
  return run.calls.find((call) => call.approval !== undefined && call.approval.id === approvalId);
}

/** What the model has not yet read travels in the continuation, so it is bounded. Messages that only steer the run always get through. */
function crowdProblem(messages: number): string | null {
  if (messages < LIMITS.waitingMessagesMax) return null;
  return `${LIMITS.waitingMessagesMax} messages wait already; send this one again when the run has caught up`;
}

/** A file weighs as much as a message: both are references once they are perceived. */
function waitingOf({ waiting }: Run): number {
  return waiting.reduce((sum, input) => sum + 1 + ('attachments' in input ? (input.attachments?.length ?? 0) : 0), 0);
}

function attachmentsProblem(attachments: unknown): string | null {
  if (attachments === undefined) return null;
  const isFine =
    Array.isArray(attachments) &&
    attachments.length <= LIMITS.attachmentsMax &&
    attachments.every((ref) => typeof ref === 'string' && /^[\w-]{1,64}$/.test(ref));
  return isFine ? null : `attachments must be at most ${LIMITS.attachmentsMax} references of stored files`;
}

function envelopeProblem(message: RunMessage): string | null {
  for (const field of ['id', 'principal'] as const) {
    const value: unknown = message[field];
    if (typeof value === 'string' && value.length <= LIMITS.messageIdLengthMax && textProblem(field, value) === null)
      continue;
    return `${field} must be a text of 1 to ${LIMITS.messageIdLengthMax} characters, got ${describe(value)}`;
  }
  return message.id.startsWith('perdure:') ? "ids that begin with 'perdure:' are the run's own; choose another" : null;
}

function approvalProblem(run: Run, message: RunMessage & { kind: 'decideApproval' }): string | null {
  const call = callOfApproval(run, message.approvalId);
  if (call === undefined) {
    const pending = run.calls.flatMap((candidate) =>
      candidate.approval?.isApproved === false ? [candidate.approval.id] : [],
    );
    return `approval ${describe(message.approvalId)} is not pending; pending: ${pending.join(', ') || 'none'}`;
  }
  if (call.approval?.decision !== undefined || call.approval?.isApproved || call.approval?.isSettling) {
    return `approval ${message.approvalId} is decided already`;
  }
  if (call.argsHash !== message.argsHash) {
    return `argsHash is ${describe(message.argsHash)}, but the pending arguments have ${call.argsHash}: look at them again`;
  }
  return decisionProblem(message.decision);
}

function decisionProblem(decision: ApprovalDecision): string | null {
  switch (decision?.kind) {
    case 'approve':
      return null;
    case 'edit':
      return editProblem(decision.arguments);
    case 'reject':
      return textProblem('reason', decision.reason);
    case 'respond':
      return textProblem('text', decision.text);
    default:
      return `decision.kind must be approve, edit, reject or respond, got ${describe((decision as { kind?: unknown } | undefined)?.kind)}`;
  }
}

function editProblem(edited: JsonValue | undefined): string | null {
  if (edited === undefined) return 'an edit needs arguments';
  return jsonProblem('arguments have', edited, 'edit them to be shorter');
}

function topUpProblem(topUp: (RunMessage & { kind: 'topUpBudget' })['topUp']): string | null {
  const amounts = Object.entries(topUp ?? {});
  if (amounts.length === 0) return 'topUp must name an amount: costPico, tokens, turns, toolCalls or activeMs';
  for (const [name, amount] of amounts) {
    const isFine =
      name === 'costPico'
        ? typeof amount === 'string' && /^[1-9]\d{0,17}$/.test(amount)
        : ['tokens', 'turns', 'toolCalls', 'activeMs'].includes(name) &&
          Number.isSafeInteger(amount) &&
          Number(amount) > 0;
    if (!isFine) return `topUp.${name} must be a positive whole amount, got ${describe(amount)}`;
  }
  return null;
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : value === null ? 'null' : typeof value;
}
