import { activityInfo, Context } from '@temporalio/activity';
import { costOf, costOfReply } from '../../domain/model/price.ts';
import { totalTokens } from '../../domain/model/usage.ts';
import { dueAfterReply } from '../../domain/memory/compaction-due.ts';
import type { CallModelInput } from '../../domain/run/activity-inputs.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import type { BudgetRefused, ModelResult } from '../../domain/run/results.ts';
import type { Charge } from '../../stores/budget-account.ts';
import type { StoredReply } from '../../stores/database.ts';
import type { ModelAttempt } from '../../stores/model-calls.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classify, isDatabaseAway } from '../failures.ts';
import { untilStored } from '../until-stored.ts';
import { notKept } from './call-troubles.ts';
import { invokeModel, type ModelReply } from './invoke-model.ts';
import { ModelReplyError } from './model-errors.ts';
import { keepReply } from './keep-reply.ts';
import { attemptId, type Call, contextTooLong, fileTokensMax, fixedBytesOf, type TooLong } from './prepare-call.ts';
import { openAttempt } from './open-attempt.ts';
import { cacheRequestOf } from './prompt-cache.ts';
import { askRateLimit, noteThrottled, sizeOf } from './rate-limit.ts';
import { settleEarlier } from './settle-earlier.ts';
import { parametersOf } from './call-settings.ts';
import { type RoutedCall, runRouted } from './routing/run-routed.ts';
import { withOutputContract } from '../../domain/model/output-contract.ts';
import { traceChat } from './trace-chat.ts';

/**
 * Makes one model call of a run: reserves its worst case, calls, keeps the reply, settles what it cost. A reply that was paid for is kept
 * before the workflow hears of it, so a later attempt returns it without calling again.
 */
export async function callModel(dependencies: ActivityDependencies, input: CallModelInput): Promise<ModelResult> {
  return runRouted(dependencies, input, async (call) => {
    const { turn, facts } = call;
    await dependencies.failpoint('model:before-reserve');
    const attempt = { runId: facts.id, turn, reservationId: attemptId(facts.id, turn) };
    await askAboutEarlier(dependencies, call);
    const size = () => sizeOf({ ...call.release, parts: call.parts }, call.choice);
    const permit = await askRateLimit(dependencies, { ...call, name: `turn ${turn}`, size });
    if (permit.kind === 'throttled') return noteThrottled(dependencies, call, attempt.reservationId, permit);
    const opened = await openAttempt(dependencies, call, attempt.reservationId, input.lastAnswer ?? null).catch(
      async (error: unknown) => {
        await permit.giveBack();
        throw error;
      },
    );
    if (opened.kind === 'result') {
      await permit.giveBack();
      if (opened.result.kind === 'replied') dependencies.streams?.settled(facts.id);
      return opened.result;
    }
    await dependencies.failpoint('model:reserved');
    const { observation } = opened;
    const reply = await permit.call(() => invoke(dependencies, opened.call, { ...attempt, observation }));
    if ('kind' in reply) return isTooLong(reply) ? contextTooLong(opened.call, reply) : reply;
    await dependencies.failpoint('model:replied');
    const result = await keep(dependencies, opened.call, { ...attempt, observation }, reply);
    dependencies.streams?.settled(facts.id);
    await dependencies.failpoint('model:settled');
    return result;
  });
}

/**
 * Keeps a reply and settles what it cost. A reply that cannot be kept for a reason that waiting does not mend is charged all the same:
 * as held money it would be paid again until the cap is used up, as a settled call it counts among the unusable ones.
 */
async function keep(
  dependencies: ActivityDependencies,
  call: Call,
  attempt: ModelAttempt,
  reply: ModelReply,
): Promise<ModelResult> {
  const { modelCalls } = dependencies.stores;
  const details = chargeDetails(call, reply);
  const charge: Charge = { kind: 'settled', costPico: details.costPico, tokens: totalTokens(reply.usage) };
  try {
    return await untilStored(async () => {
      const stored = await withCompaction(dependencies, call, reply, await keepReply(dependencies, call, reply));
      const kept = call.closedBy === undefined ? stored : { ...stored, closedBy: call.closedBy };
      const closed = { outcome: 'replied', ...details };
      const settled = await modelCalls.settle(call.tenant, attempt, charge, closed, kept);
      return { ...(settled.reply ?? kept), total: settled.total };
    });
  } catch (error) {
    if (isDatabaseAway(error)) throw error;
    const { cause, message } = classify(error);
    const closed = { outcome: 'failed', cause, message, ...details };
    await untilStored(async () => modelCalls.settle(call.tenant, attempt, charge, closed, null));
    throw notKept(call, message);
  }
}

/** Asks the provider what earlier attempts cost, where it can be asked: what they hold is free for this call then. */
async function askAboutEarlier({ stores, models }: ActivityDependencies, call: Call): Promise<void> {
  const { tenant, facts, resolved, price } = call;
  const lookUp = models.usageLookup?.(resolved.id) ?? null;
  await settleEarlier(stores, lookUp, { tenant, runId: facts.id, modelId: resolved.id, price });
}

/**
 * Calls the model; when that fails, settles what is known of the attempt's cost before the failure goes on. That the prompt is too long is no
 * failure: a shorter one may pass. A last answer that is none was the last try.
 */
async function invoke(
  { stores, spans, streams }: ActivityDependencies,
  call: RoutedCall,
  attempt: ModelAttempt,
): Promise<ModelReply | TooLong | BudgetRefused> {
  const request = {
    instructions: withOutputContract(call.release.instructions, call.release.output),
    parts: call.parts,
    tools: call.release.tools,
    outputTokensMax: call.choice.outputTokensMax,
    requestId: attempt.reservationId,
    cache: cacheRequestOf(call),
    fileTokensMax: fileTokensMax(call),
    ...(call.closedBy === undefined ? {} : { answersOnly: true as const }),
    ...(call.choice.temperature === undefined ? {} : { temperature: call.choice.temperature }),
    settings: {
      parameters: parametersOf(call.choice),
      ...(call.release.output === undefined ? {} : { output: call.release.output }),
    },
  };
  const { cancellationSignal } = Context.current();
  // Ends before Temporal's own timeout, so that the attempt can still say what became of it.
  const usedMs = Math.ceil(performance.now() - call.begunAt);
  const timeout = AbortSignal.timeout(Math.max(1_000, activityInfo().startToCloseTimeoutMs - LIMITS.settleMs - usedMs));
  const stream = streams?.open(call.tenant, attempt.runId, call.turn);
  try {
    const signal = AbortSignal.any([cancellationSignal, timeout]);
    return await traceChat(spans, { ...call, request }, () =>
      call.passage.through(() => invokeModel(call.resolved, request, signal, stream?.say)),
    );
  } catch (error) {
    const failure = classify(error);
    const charge = chargeOfFailure(call, error, failure.sent);
    const closed = {
      outcome: cancellationSignal.aborted ? 'cancelled' : 'failed',
      cause: failure.cause,
      message: failure.message,
      model: call.resolved.id,
      priceVersion: call.price.version,
      ...usageOfFailure(call, error),
    };
    const settle = async () => stores.modelCalls.settle(call.tenant, attempt, charge, closed, null);
    // Where this cannot be written the reservation stays, and the next attempt takes it for held: the failure itself matters more. A charge
    // that is known is worth waiting for, because nobody else knows it.
    await (charge.kind === 'settled' ? untilStored(settle) : settle()).catch(() => undefined);
    if (failure.isTooLong === true) return { kind: 'too-long', message: failure.message };
    if (call.closedBy !== undefined && error instanceof ModelReplyError) {
      const total = await stores.budgets.totalOf(call.tenant, attempt.runId);
      return { kind: 'budget-refused', dimension: call.closedBy, total };
    }
    throw error;
  } finally {
    stream?.end();
  }
}

/** A reply that cannot be used was paid for; a request that never got through was not; of the rest nobody knows. */
export function chargeOfFailure(call: Pick<Call, 'price'>, error: unknown, sent: 'no' | 'maybe'): Charge {
  if (error instanceof ModelReplyError && error.usage !== null) {
    return { kind: 'settled', costPico: costOf(call.price, error.usage), tokens: totalTokens(error.usage) };
  }
  return sent === 'no' ? { kind: 'free' } : { kind: 'held' };
}

/** What is known of a reply that was paid for and could not be used. */
function usageOfFailure(call: Call, error: unknown) {
  if (!(error instanceof ModelReplyError) || error.usage === null) return {};
  const { usage } = error;
  return { usage, costPico: costOf(call.price, usage), isCostSimulated: call.resolved.simulated };
}

function chargeDetails(call: Call, reply: ModelReply) {
  return {
    ...(reply.usageEstimated ? { message: 'the provider named no usage: this is the most that it can have been' } : {}),
    model: reply.modelId,
    usage: reply.usage,
    costPico: costOfReply(call.price, reply),
    priceVersion: call.price.version,
    isCostSimulated: call.resolved.simulated,
  };
}

/** Adds to a reply that the transcript has become long. It is kept with the reply, so that every attempt says the same. */
async function withCompaction(
  { stores }: ActivityDependencies,
  call: Call,
  { usage, usageEstimated }: ModelReply,
  kept: StoredReply,
): Promise<StoredReply> {
  const nodes = await stores.transcripts.readNodes(call.tenant, call.facts.scope, kept.head);
  const tokens = usageEstimated ? null : totalTokens(usage);
  const through = dueAfterReply(call.home, nodes, fixedBytesOf(call), tokens);
  return through === null ? kept : { ...kept, compactThrough: through };
}

function isTooLong(reply: TooLong | BudgetRefused): reply is TooLong {
  return reply.kind === 'too-long';
}
