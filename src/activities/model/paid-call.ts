import { Context } from '@temporalio/activity';
import { costOf, costOfReply, type ModelPrice } from '../../domain/model/price.ts';
import { totalTokens } from '../../domain/model/usage.ts';
import type { Listen } from '../../domain/stream/stream.ts';
import type { Charge } from '../../stores/budget-account.ts';
import type { ModelAttempt } from '../../stores/model-calls.ts';
import type { ClosedObservation } from '../../stores/observations.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classify, type Failure, isDatabaseAway } from '../failures.ts';
import { untilStored } from '../until-stored.ts';
import { notKept } from './call-troubles.ts';
import { invokeModel, type ModelReply, type ModelRequest, type ResolvedModel } from './invoke-model.ts';
import { ModelReplyError } from './model-errors.ts';
import type { Passage } from './routing/passage.ts';
import { traceChat } from './trace-chat.ts';

/** A call on money that is reserved: who is asked, at what price, and since when its activity works. */
export type PaidCall = {
  readonly tenant: string;
  readonly turn: number;
  readonly facts: RunFacts;
  readonly resolved: ResolvedModel;
  readonly price: ModelPrice;
  readonly passage: Passage;
};

/** What an attempt came to: its charge, and its observation's end. */
export type Outcome = { readonly charge: Charge; readonly closed: ClosedObservation };

type Stores = Pick<ActivityDependencies['stores'], 'modelCalls'>;

/** Asks a model, traced, through its breaker and in the time that is left. */
export async function askModel(
  { spans }: Pick<ActivityDependencies, 'spans'>,
  call: PaidCall,
  request: ModelRequest,
  listen?: Listen,
): Promise<ModelReply> {
  const { cancellationSignal } = Context.current();
  const timeout = AbortSignal.timeout(call.passage.timeoutMs());
  const signal = AbortSignal.any([cancellationSignal, timeout]);
  return traceChat(spans, { ...call, request }, () =>
    call.passage.through(() => invokeModel(call.resolved, request, signal, listen)),
  );
}

/** Says what a reply cost and how its observation ends, less the word for it. */
export function outcomeOfReply(
  { price, resolved }: Pick<PaidCall, 'price' | 'resolved'>,
  reply: ModelReply,
  outcome: string,
): Outcome {
  const costPico = costOfReply(price, reply);
  return {
    charge: { kind: 'settled', costPico, tokens: totalTokens(reply.usage) },
    closed: {
      outcome,
      ...(reply.usageEstimated
        ? { message: 'the provider named no usage: this is the most that it can have been' }
        : {}),
      model: reply.modelId,
      usage: reply.usage,
      costPico,
      priceVersion: price.version,
      isCostSimulated: resolved.simulated,
    },
  };
}

/** Says what a failed call cost, as far as that is known. */
export function outcomeOfFailure(
  { price, resolved }: Pick<PaidCall, 'price' | 'resolved'>,
  error: unknown,
): Outcome & { readonly failure: Failure } {
  const failure = classify(error);
  const { cause, message } = failure;
  const usage = error instanceof ModelReplyError ? error.usage : null;
  return {
    failure,
    charge: chargeOfFailure({ price }, error, failure.sent),
    closed: {
      outcome: Context.current().cancellationSignal.aborted ? 'cancelled' : 'failed',
      cause,
      message,
      model: resolved.id,
      priceVersion: price.version,
      ...(usage === null ? {} : { usage, costPico: costOf(price, usage), isCostSimulated: resolved.simulated }),
    },
  };
}

/** A reply that cannot be used was paid for; a request that never got through was not; of the rest nobody knows. */
function chargeOfFailure({ price }: Pick<PaidCall, 'price'>, error: unknown, sent: 'no' | 'maybe'): Charge {
  if (error instanceof ModelReplyError && error.usage !== null) {
    return { kind: 'settled', costPico: costOf(price, error.usage), tokens: totalTokens(error.usage) };
  }
  return sent === 'no' ? { kind: 'free' } : { kind: 'held' };
}

/**
 * Settles a failed call. What is known of its charge is worth waiting for, because nobody else knows it. Where it cannot be written the reservation stays,
 * and the next attempt takes it for held: the failure itself matters more.
 */
export async function settleFailed(
  { modelCalls }: Stores,
  { tenant }: Pick<PaidCall, 'tenant'>,
  attempt: ModelAttempt,
  { charge, closed }: Outcome,
): Promise<void> {
  const settle = async () => modelCalls.settle(tenant, attempt, charge, closed, null);
  await (charge.kind === 'held' ? settle() : untilStored(settle)).catch(() => undefined);
}

/**
 * Keeps what a call gave. Where that cannot be kept for a reason that waiting does not mend, the call is charged all the same: as held money it would be paid
 * again until the cap is used up, as a settled call it counts among the unusable ones.
 *
 * @param keep Writes what was given and settles the call. It may be repeated.
 */
export async function keepPaid<Kept>(
  { modelCalls }: Stores,
  call: Pick<PaidCall, 'tenant' | 'resolved'>,
  attempt: ModelAttempt,
  { charge, closed }: Outcome,
  keep: () => Promise<Kept>,
): Promise<Kept> {
  try {
    return await untilStored(keep);
  } catch (error) {
    if (isDatabaseAway(error)) throw error;
    const { cause, message } = classify(error);
    const failed = { ...closed, outcome: 'failed', cause, message };
    await untilStored(async () => modelCalls.settle(call.tenant, attempt, charge, failed, null));
    throw notKept(call, message);
  }
}
