import { randomUUID } from 'node:crypto';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { MessageReceipt, RunMessageKind } from '../../../src/domain/run/message.ts';
import type { PendingDecision, RunState } from '../../../src/domain/run/views.ts';
import { type MessageBody, pendingQuery, RUN_MESSAGES, stateQuery } from '../../../src/workflows/agent-run.messages.ts';
import type { Platform, RunHandle } from './platform.ts';
import { until } from './until.ts';

/** A message without what every message has; `id` may be given to send one twice. */
export type Said<Kind extends RunMessageKind> = Omit<MessageBody<Kind>, 'id' | 'principal'> & {
  readonly id?: string;
  readonly principal?: string;
};

/**
 * Sends a message as an update and gives the answer. With the same `updateId` Temporal itself gives an execution's first answer again; by
 * default it is another one each time, so that the run is asked.
 */
export async function update<Kind extends RunMessageKind>(
  handle: RunHandle,
  kind: Kind,
  said: Said<Kind>,
  updateId: string = randomUUID(),
): Promise<MessageReceipt> {
  return handle.executeUpdate<MessageReceipt, [object]>(RUN_MESSAGES[kind].update.name, {
    args: [bodyOf(said)],
    updateId,
  });
}

/** Sends a message as a signal: nobody answers. */
export async function signal<Kind extends RunMessageKind>(
  handle: RunHandle,
  kind: Kind,
  said: Said<Kind>,
): Promise<void> {
  await handle.signal<[object]>(RUN_MESSAGES[kind].signal.name, bodyOf(said));
}

/** Sends an update that must be refused, and gives the words of the refusal. */
export async function refused<Kind extends RunMessageKind>(
  handle: RunHandle,
  kind: Kind,
  said: Said<Kind>,
): Promise<string> {
  try {
    const receipt = await update(handle, kind, said);
    throw new Error(`${kind} was ${receipt.result}`);
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) return error.cause?.message ?? '';
    throw error;
  }
}

export async function stateOf(handle: RunHandle): Promise<RunState> {
  return handle.query(stateQuery);
}

/** Waits for the end of a run and gives the first words of its answer. */
export async function answerOf(handle: RunHandle): Promise<string> {
  return (await handle.result()).answer?.preview ?? '';
}

/** Waits until the run is in a phase, and gives its state. */
export async function untilPhase(handle: RunHandle, phase: RunState['phase']): Promise<RunState> {
  return until(`phase ${phase}`, async () => {
    const state = await stateOf(handle);
    return state.phase === phase ? state : null;
  });
}

/** Waits until a person is asked, and gives the question or the approval. */
export async function untilAsked<Kind extends PendingDecision['kind']>(
  { db, tenant }: Platform,
  handle: RunHandle,
  kind: Kind,
): Promise<PendingDecision & { kind: Kind }> {
  return until(`pending ${kind}`, async () => {
    const [first] = await handle.query(pendingQuery);
    if (first?.kind !== kind) return null;
    if (first.kind === 'approval') {
      const { approvalId } = first as PendingDecision & { kind: 'approval' };
      const row = db.selectFrom('approvals').select('id').where('tenant', '=', tenant).where('id', '=', approvalId);
      if ((await row.executeTakeFirst()) === undefined) return null;
    }
    return first as PendingDecision & { kind: Kind };
  });
}

function bodyOf<Body extends { readonly id?: string; readonly principal?: string }>(said: Body) {
  return { id: randomUUID(), principal: 'bea', ...said };
}
