import { totalTokens } from '../../domain/model/usage.ts';
import { dueAfterReply } from '../../domain/memory/compaction-due.ts';
import type { CallModelInput } from '../../domain/run/activity-inputs.ts';
import type { BudgetRefused, ModelResult } from '../../domain/run/results.ts';
import type { StoredReply } from '../../stores/database.ts';
import { isReplyKept } from '../../stores/kept-replies.ts';
import type { ModelAttempt } from '../../stores/model-calls.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ModelReply } from './invoke-model.ts';
import { ModelReplyError } from './model-errors.ts';
import { keepReply } from './keep-reply.ts';
import { attemptId, type Call, contextTooLong, fileTokensMax, fixedBytesOf, type TooLong } from './prepare-call.ts';
import { openAttempt } from './open-attempt.ts';
import { askModel, keepPaid, outcomeOfFailure, outcomeOfReply, settleFailed } from './paid-call.ts';
import { cacheRequestOf } from './prompt-cache.ts';
import { askRateLimit, noteThrottled, type Permit, sizeOf } from './rate-limit.ts';
import { settleEarlier } from './settle-earlier.ts';
import { parametersOf } from './call-settings.ts';
import { type RoutedCall, runRouted } from './routing/run-routed.ts';
import { withOutputContract } from '../../domain/model/output-contract.ts';

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
    const isKept = () => isReplyKept(dependencies.stores.db, call.tenant, facts.id, turn);
    const rated = { ...call, name: `turn ${turn}`, size, isKept };
    const permit = await askRateLimit(dependencies, rated).catch(call.passage.blame);
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
    const reply = await invoke(dependencies, opened.call, { ...attempt, observation }, permit);
    if ('kind' in reply) return isTooLong(reply) ? contextTooLong(opened.call, reply) : reply;
    await dependencies.failpoint('model:replied');
    const result = await keep(dependencies, opened.call, { ...attempt, observation }, reply);
    dependencies.streams?.settled(facts.id);
    await dependencies.failpoint('model:settled');
    return result;
  });
}

/** Keeps a reply and settles what it cost. */
async function keep(
  dependencies: ActivityDependencies,
  call: RoutedCall,
  attempt: ModelAttempt,
  reply: ModelReply,
): Promise<ModelResult> {
  const { stores } = dependencies;
  const outcome = outcomeOfReply(call, reply, 'replied');
  return keepPaid(stores, call, attempt, outcome, async () => {
    const stored = await withCompaction(dependencies, call, reply, await keepReply(dependencies, call, reply));
    const kept = call.closedBy === undefined ? stored : { ...stored, closedBy: call.closedBy };
    const settled = await stores.modelCalls.settle(call.tenant, attempt, outcome.charge, outcome.closed, kept);
    return { ...(settled.reply ?? kept), total: settled.total };
  });
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
  dependencies: ActivityDependencies,
  call: RoutedCall,
  attempt: ModelAttempt,
  permit: Permit,
): Promise<ModelReply | TooLong | BudgetRefused> {
  const { stores, streams } = dependencies;
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
  const stream = streams?.open(call.tenant, attempt.runId, call.turn);
  try {
    return await permit.call(() => askModel(dependencies, call, request, stream?.say));
  } catch (error) {
    const failed = outcomeOfFailure(call, error);
    await settleFailed(stores, call, attempt, failed);
    if (failed.failure.isTooLong === true) return { kind: 'too-long', message: failed.failure.message };
    const isAgain = call.closedBy === 'turns' && error instanceof ModelReplyError && error.kind === 'interrupted';
    if (call.closedBy !== undefined && error instanceof ModelReplyError && !isAgain) {
      const total = await stores.budgets.totalOf(call.tenant, attempt.runId);
      return { kind: 'budget-refused', dimension: call.closedBy, total };
    }
    throw error;
  } finally {
    stream?.end();
  }
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
