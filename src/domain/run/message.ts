import type { JsonValue } from '../json.ts';

/** What every message carries. `id` is the caller's: the same id is applied once, however often and however it is sent. */
type Envelope = { readonly id: string; readonly principal: string };

export type ApprovalDecision =
  | { readonly kind: 'approve' }
  | { readonly kind: 'edit'; readonly arguments: JsonValue }
  | { readonly kind: 'reject'; readonly reason: string }
  | { readonly kind: 'respond'; readonly text: string };

/** The result of a deferred tool call: its output, or why there is none, in words for the model. */
export type DeferredResult = { readonly output: JsonValue } | { readonly error: string };

/** What people and clients may say to a run. The kinds are the wire names of the updates and signals. */
export type RunMessage =
  | (Envelope & {
      readonly kind: 'decideApproval';
      readonly approvalId: string;
      /** Hash of the arguments that the person saw. */
      readonly argsHash: string;
      readonly decision: ApprovalDecision;
    })
  | (Envelope & {
      readonly kind: 'provideInput';
      readonly text: string;
      /** References of the files that go with it. */
      readonly attachments?: readonly string[];
    })
  | (Envelope & { readonly kind: 'steer'; readonly text: string })
  | (Envelope & { readonly kind: 'topUpBudget'; readonly topUp: TopUp })
  | (Envelope & { readonly kind: 'retry' })
  | (Envelope & { readonly kind: 'pause' })
  | (Envelope & { readonly kind: 'resume' })
  | (Envelope & { readonly kind: 'requestStop'; readonly reason: string })
  | (Envelope & { readonly kind: 'completeTool'; readonly token: string; readonly result: DeferredResult });

export type RunMessageKind = RunMessage['kind'];

/** Amounts to add to a run's limits. */
export type TopUp = {
  readonly costPico?: string;
  readonly tokens?: number;
  readonly turns?: number;
  readonly toolCalls?: number;
  readonly activeMs?: number;
};

/** What the caller of an update is told. `already-applied` means that this id was applied before and nothing changed now. */
export type MessageReceipt = { readonly result: 'applied' | 'already-applied' };
