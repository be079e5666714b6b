import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { MessageReceipt, RunMessage, RunMessageKind } from '../domain/run/message.ts';
import type { PendingDecision, RunState, RunUsage } from '../domain/run/views.ts';

/** A message without its kind: the kind is the name of the update or signal. */
export type MessageBody<Kind extends RunMessageKind> = Omit<RunMessage & { kind: Kind }, 'kind'>;

function defineMessage<Kind extends RunMessageKind>(kind: Kind) {
  return {
    kind,
    update: defineUpdate<MessageReceipt, [MessageBody<Kind>]>(kind),
    signal: defineSignal<[MessageBody<Kind>]>(kind),
  } as const;
}

/**
 * What can be said to a run. Each message is an update and a signal of the same name: the update answers and needs a live worker, the
 * signal does not. Both carry the caller's id, so that sending one after the other applies it once.
 */
export const RUN_MESSAGES = {
  decideApproval: defineMessage('decideApproval'),
  provideInput: defineMessage('provideInput'),
  steer: defineMessage('steer'),
  topUpBudget: defineMessage('topUpBudget'),
  retry: defineMessage('retry'),
  pause: defineMessage('pause'),
  resume: defineMessage('resume'),
  requestStop: defineMessage('requestStop'),
  completeTool: defineMessage('completeTool'),
} as const;

export const stateQuery = defineQuery<RunState>('state');
export const pendingQuery = defineQuery<readonly PendingDecision[]>('pending');
export const usageQuery = defineQuery<RunUsage>('usage');
