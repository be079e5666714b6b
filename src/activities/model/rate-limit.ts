import { Context } from '@temporalio/activity';
import { canonicalJson, utf8Bytes } from '../../domain/json.ts';
import { fileTokens, withoutData } from '../../domain/model/attachment.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { ModelChoice } from '../../domain/model/model-policy.ts';
import type { Usage } from '../../domain/model/usage.ts';
import { describeLimit, findRule, type RateDimension, type RateLimitRule } from '../../domain/quota/rate-limit.ts';
import type { RateGrant } from '../../domain/quota/rate-limiter.ts';
import type { CallSize } from '../../domain/quota/token-estimate.ts';
import type { Throttled } from '../../domain/run/results.ts';
import type { RateAsked, RatedCredential } from '../../stores/rate-limits.ts';
import type { RunFacts } from '../../stores/runs.ts';
import { noteUncalled } from '../../stores/uncalled-attempts.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classify } from '../failures.ts';
import { noteIdle } from '../timed.ts';
import { tooLargeForLimit } from './call-troubles.ts';
import type { ModelReply, ModelRequest, ResolvedModel } from './invoke-model.ts';
import { ModelReplyError } from './model-errors.ts';
import { modelObservation } from './model-observation.ts';
import type { Call } from './prepare-call.ts';
import { routeTaken } from './routing/run-routed.ts';

/** The limits of a worker's models. */
export type RateLimits = {
  readonly rules: readonly RateLimitRule[];
  /** When this process was started, in milliseconds since the epoch: the newest deployment's limits are in force. */
  readonly declaredAt: number;
  /** Hears how long a call waits, each time that it does. */
  readonly onThrottled: (wait: ThrottledWait) => void;
};

export type ThrottledWait = {
  readonly agent: string;
  readonly model: string;
  readonly dimension: RateDimension;
  readonly waitMs: number;
};

/** Longest wait inside an activity, in milliseconds: it costs no history, and keeps one of the worker's slots. */
const NAP_MS = 1_000;

/** Milliseconds that an attempt waits in all before its run does. */
const NAPS_MS = 5_000;

/** Milliseconds for which nobody calls after a refusal for the rate that names no time. */
const REFUSED_MS = 2_000;

/** A call that is about to be made, under whatever name its run asks for it. */
export type RatedCall = {
  readonly tenant: string;
  readonly facts: RunFacts;
  readonly resolved: ResolvedModel;
  /** Names the call in the queue: the same when it asks again. */
  readonly name: string;
  readonly size: () => CallSize;
  /** Says whether what is asked for was paid for and kept before: then nobody is called. */
  readonly isKept?: () => Promise<boolean>;
};

/** A call that may be made. `call` makes it and tells the limit what it used. */
export type Permit = {
  readonly kind: 'permit';
  readonly call: (make: () => Promise<ModelReply>) => Promise<ModelReply>;
  /** Says that the call is not made. */
  readonly giveBack: () => Promise<void>;
};

const UNLIMITED: Permit = { kind: 'permit', call: (make) => make(), giveBack: async () => undefined };

/**
 * Asks whether a call may be made under the limits of its provider. A short wait is slept here; a longer one goes back to the run, which
 * waits with a timer and asks again. Where no limit is configured nothing is asked of anybody.
 *
 * @throws ApplicationFailure `model-quota`, mendable, for a call that is larger than the limit alone.
 */
export async function askRateLimit(dependencies: ActivityDependencies, rated: RatedCall): Promise<Permit | Throttled> {
  const credential = credentialUnderLimit(dependencies.rateLimits, rated.resolved);
  if (credential === null || dependencies.rateLimits === undefined) return UNLIMITED;
  if ((await rated.isKept?.()) === true) return UNLIMITED;
  const { rateLimits: store } = dependencies.stores;
  const { tenant, facts, resolved } = rated;
  const size = rated.size();
  const asked = { ...size, id: `${facts.id} ${rated.name}`, runId: facts.id, model: resolved.id };
  let nappedMs = 0;
  for (;;) {
    const answer = await store.ask(tenant, credential, asked);
    if (answer.kind === 'granted') return permit(dependencies, credential, rated, size, answer.grant);
    if (answer.kind === 'never') throw tooLargeForLimit(rated, answer, credential.subject);
    const { waitMs } = answer;
    tellWait(dependencies.rateLimits, rated, answer);
    if (waitMs > NAP_MS || nappedMs + waitMs > NAPS_MS) {
      const limit = describeLimit(answer.dimension, credential.subject);
      Context.current().log.info('model call waits for a rate limit', { limit, wait_ms: waitMs });
      return { kind: 'throttled', waitMs, limit };
    }
    nappedMs += waitMs;
    noteIdle(waitMs);
    await Context.current()
      .sleep(waitMs)
      .catch(async (error: unknown) => {
        // Another attempt, on another worker, goes on from this one's place.
        const { workerShutdown, timedOut } = Context.current().cancellationDetails ?? {};
        if (workerShutdown !== true && timedOut !== true) await store.leave(tenant, facts.id).catch(() => undefined);
        throw error;
      });
  }
}

/** Measures what a limit counts of a call. */
export function sizeOf(
  request: Pick<ModelRequest, 'instructions' | 'tools'> & { readonly parts: readonly MessagePart[] },
  { outputTokensMax, contextTokensMax }: ModelChoice,
): CallSize {
  const { instructions, tools, parts } = request;
  const words = parts.reduce((sum, part) => sum + utf8Bytes(canonicalJson(withoutData(part))), 0);
  const bytes = words + utf8Bytes(instructions) + utf8Bytes(canonicalJson(tools));
  return { bytes, fileTokens: Math.min(fileTokens(parts), contextTokensMax), outputTokensMax };
}

function credentialUnderLimit(limits: RateLimits | undefined, resolved: ResolvedModel): RatedCredential | null {
  const rule = limits === undefined ? null : findRule(limits.rules, resolved.id);
  if (limits === undefined || rule === null) return null;
  const own = rule.subject === resolved.id ? ` ${resolved.id.slice(resolved.id.indexOf(':') + 1)}` : '';
  return { ...rule, credential: `${resolved.credential}${own}`, declaredAt: limits.declaredAt };
}

function permit(
  { stores }: ActivityDependencies,
  { credential }: RatedCredential,
  { tenant, resolved }: RatedCall,
  size: CallSize,
  grant: RateGrant,
): Permit {
  const { rateLimits: store } = stores;
  const grantedAt = performance.now();
  let lateMs = 0;
  const settle = async (requests: number, usage: Usage | null): Promise<void> =>
    // Once: it cannot be told whether a settlement whose answer was lost has counted. What is not settled leaves with the window.
    store
      .settle(tenant, credential, { grant, size, actual: { requests, model: resolved.id, usage, lateMs } })
      .catch(() => undefined);
  return {
    kind: 'permit',
    call: async (make) => {
      lateMs = performance.now() - grantedAt;
      try {
        const reply = await make();
        // The reply must not wait for the limit's row.
        if (!reply.usageEstimated) void settle(1, reply.usage);
        return reply;
      } catch (error) {
        const failure = classify(error);
        if (error instanceof ModelReplyError && error.usage !== null) void settle(1, error.usage);
        else if (failure.sent === 'no') void settle(1, null);
        if (failure.cause === 'model-rate-limited') {
          await store.hold(tenant, credential, failure.retryAfterMs ?? REFUSED_MS).catch(() => undefined);
        }
        throw error;
      }
    },
    giveBack: () => settle(0, null),
  };
}

function tellWait(
  { onThrottled }: RateLimits,
  { facts, resolved }: RatedCall,
  { dimension, waitMs }: RateAsked & { readonly kind: 'denied' },
): void {
  onThrottled({ agent: facts.agent, model: resolved.id, dimension, waitMs });
}

/** Writes down that an attempt at a turn's call called nobody, because its run has to wait. */
export async function noteThrottled(
  { stores, settings }: ActivityDependencies,
  call: Pick<Call, 'tenant' | 'facts' | 'turn' | 'resolved' | 'tier' | 'fallback'>,
  id: string,
  throttled: Throttled,
): Promise<Throttled> {
  const observation = { ...modelObservation(call, id, settings), route: routeTaken(call) };
  return stores.db.transaction().execute(async (tx) => noteUncalled(tx, call.tenant, observation, throttled));
}
