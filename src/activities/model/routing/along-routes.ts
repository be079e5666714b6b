import { activityInfo, Context, log } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/common';
import type { FallbackWhy } from '../../../domain/model/model-policy.ts';
import { LIMITS } from '../../../domain/run/limits.ts';
import type { ActivityDependencies } from '../../dependencies.ts';
import { classify, type Failure, toApplicationFailure } from '../../failures.ts';
import type { Route } from '../prepare-call.ts';
import { NoPlace } from './bulkheads.ts';
import type { Routing } from './create-routing.ts';
import type { AttemptTime } from './attempt-time.ts';
import { nextRoute, type Passed } from './open-routes.ts';
import { openPassage, type Passage } from './passage.ts';

/** Milliseconds after which a call that found no place asks again. */
const BUSY_MS = 1_500;

/** Share of a wait by which it is longer at most: runs that wait for the same model must not all come back in the same moment. */
const JITTER = 0.1;

/** The shortest pause before another attempt, in milliseconds. */
const PAUSE_MS_MIN = 200;

/** Work that needs one model, whichever it is. */
export type RoutedWork<Result> = {
  readonly agent: string;
  readonly isPatient: boolean;
  readonly time: AttemptTime;
  /** Says why a model cannot be asked for this at all. */
  readonly whyNot?: (route: Route) => FallbackWhy | null;
  readonly with: (route: Route, passage: Passage) => Promise<Result>;
  /** Says why a result of a model that stands in should not count: the run's own model may do better. */
  readonly whyNotResult?: (result: Result) => FallbackWhy | null;
};

/**
 * Does work with the first model of a chain that can do it. A model whose breaker is open is passed over, and so is one that a person has to
 * mend: that blocks the run only when no model is left.
 *
 * @throws ApplicationFailure that is tried again when a model is free, where time is all that is needed.
 * @throws what the run's own model failed with, where no other could do it either.
 */
export async function alongRoutes<Result>(
  { models, routing }: Pick<ActivityDependencies, 'models' | 'routing'>,
  first: Route,
  work: RoutedWork<Result>,
): Promise<Result> {
  let route = first;
  for (;;) {
    const tried = await tryRoute(routing, route, work);
    if (tried.kind === 'done') return tried.result;
    const next = await nextRoute(models, route, tried.passed);
    if (next.kind === 'none') throw noRouteLeft(next.passed, work.isPatient);
    const { passed } = next.route.routes;
    if (!work.time.hasTime() && passed.some(isTrouble)) throw noRouteLeft(passed, work.isPatient);
    route = next.route;
  }
}

type Tried<Result> =
  { readonly kind: 'done'; readonly result: Result } | { readonly kind: 'passed'; readonly passed: Passed };

async function tryRoute<Result>(
  routing: Routing | undefined,
  route: Route,
  work: RoutedWork<Result>,
): Promise<Tried<Result>> {
  const { resolved, routes } = route;
  const pass = (why: FallbackWhy, rest: Pick<Passed, 'error' | 'waitMs'> = {}): Tried<Result> => ({
    kind: 'passed',
    passed: { id: resolved.id, isHome: routes.isHome, why, ...rest },
  });
  const why = work.whyNot?.(route) ?? null;
  if (why !== null) return pass(why);
  const key = { model: resolved.id, server: resolved.server ?? '' };
  if (routing === undefined || resolved.simulated) return attempt(route, openPassage(null, work.time), work, pass);
  // Looked at before the queue, so that nobody waits for a place at a model that fails, and again once there is a place.
  const early = await routing.breakers.admit(key);
  if (early.kind === 'refused') return pass(early.why, { waitMs: early.waitMs });
  const { cancellationSignal } = Context.current();
  try {
    return await routing.bulkheads.enter(`${key.model} ${key.server}`, cancellationSignal, async () => {
      const now = early.permit.isProbe ? early : await routing.breakers.admit(key);
      if (now.kind === 'refused') return pass(now.why, { waitMs: now.waitMs });
      tellFallback(routing, work.agent, route);
      return attempt(route, openPassage(now.permit, work.time), work, pass);
    });
  } catch (error) {
    if (error instanceof NoPlace) return pass('busy', { waitMs: BUSY_MS });
    throw error;
  } finally {
    await early.permit.giveBack().catch(() => undefined);
  }
}

async function attempt<Result>(
  route: Route,
  passage: Passage,
  work: RoutedWork<Result>,
  pass: (why: FallbackWhy, rest?: Pick<Passed, 'error' | 'waitMs'>) => Tried<Result>,
): Promise<Tried<Result>> {
  try {
    const result = await work.with(route, passage);
    const why = route.routes.isHome ? null : (work.whyNotResult?.(result) ?? null);
    return why === null ? { kind: 'done', result } : pass(why);
  } catch (error) {
    // Only what the model itself failed with may be another model's work; whatever else went wrong would go wrong there too.
    const isOfModel = error === passage.failure();
    const untilBlocked = work.isPatient ? Number.NEGATIVE_INFINITY : untilBlockedMs();
    const why = isOfModel ? whyNext(classify(error), route.routes.isHome, untilBlocked) : null;
    if (why === null) throw error;
    return pass(why, { error });
  } finally {
    await passage.close();
  }
}

/**
 * Says why another model may do what this one will not do within the run. What heals by itself is tried again until the run would have to say that it is
 * blocked: then another model is better than none. A refusal of the content is no reason: it is a verdict on what was said, and no other provider is
 * asked for a milder one. Neither is a refusal of the request itself, unless it comes from a model that stands in: what that one does not take the
 * run's own may.
 *
 * @param untilBlocked Milliseconds until the run has to say that it is blocked.
 */
export function whyNext(
  { cause, disposition, retryAfterMs = 0, isNotFound }: Failure,
  isHome: boolean,
  untilBlocked: number,
): FallbackWhy | null {
  if (isNotFound === true) return 'not-found';
  const isMendable = disposition === 'mendable';
  if (cause === 'model-authentication') return isMendable ? 'authentication' : null;
  if (cause === 'model-quota') return isMendable ? 'quota' : null;
  if (cause === 'model-rate-limited') return untilBlocked < retryAfterMs ? 'rate-limited' : null;
  if (cause === 'validation') return isHome ? null : 'refused';
  if (cause !== 'model-error') return null;
  if (isMendable) return 'unavailable';
  if (disposition === 'final') return null;
  return untilBlocked <= 0 ? 'failed' : null;
}

/** Milliseconds until the run has to say that it is blocked, which it does after a minute. */
function untilBlockedMs(): number {
  return activityInfo().scheduledTimestampMs + LIMITS.retryMs - Date.now();
}

function tellFallback({ onFallback }: Routing, agent: string, { fallback, resolved }: Route): void {
  if (fallback === null) return;
  onFallback(agent, fallback);
  log.info('another model is asked', { problem: `${resolved.id} in place of ${fallback.from} (${fallback.why})` });
}

/** Tells whether a model may do what it did not do now. One that cannot hold the work never does. */
function isTrouble({ error, waitMs }: Passed): boolean {
  return error !== undefined || waitMs !== undefined;
}

/** Makes the failure of work that no model could do. Where one needs only time, the work waits for it. */
function noRouteLeft(passed: readonly Passed[], isPatient: boolean): unknown {
  const waits = passed.flatMap(({ waitMs }) => (waitMs === undefined ? [] : [waitMs]));
  if (waits.length > 0) return notYet(passed, Math.min(...waits), isPatient);
  const told = passed.find(({ isHome, error }) => isHome && error !== undefined);
  const { error } = told ?? passed.find((each) => each.error !== undefined) ?? {};
  return error ?? cannotServe(passed);
}

function notYet(passed: readonly Passed[], waitMs: number, isPatient: boolean): ApplicationFailure {
  const message = passed.map((each) => `${each.id} ${sentenceOf(each)}`).join('; ');
  // A run that waits longer than a minute says that it is blocked, so the attempt that says so comes no later than that.
  const untilBlocked = untilBlockedMs();
  const worth = Math.max(waitMs, ...passed.map(askedToWaitMs)) * (1 + JITTER * Math.random());
  const delay = isPatient || untilBlocked <= 0 ? worth : Math.min(worth, untilBlocked);
  const isBusy = passed.every(({ why, waitMs: wait }) => wait === undefined || why === 'busy');
  return toApplicationFailure(
    {
      cause: isBusy ? 'model-rate-limited' : 'model-error',
      disposition: 'transient',
      message,
      mend: 'It goes on by itself when the model answers again; perdure models breakers shows which are left alone.',
      retryAfterMs: Math.max(PAUSE_MS_MIN, Math.ceil(delay)),
      sent: 'no',
    },
    { retryable: true },
  );
}

/** What a provider asks to wait is kept where it is short; for a longer one no other model is made to wait. */
function askedToWaitMs({ why, error }: Passed): number {
  const { retryAfterMs = 0 } = why === 'rate-limited' && error !== undefined ? classify(error) : {};
  return retryAfterMs <= LIMITS.retryMs ? retryAfterMs : 0;
}

function sentenceOf({ why, waitMs = 0, error }: Passed): string {
  if (error !== undefined) return `cannot be used (${classify(error).message})`;
  const until = new Date(Date.now() + waitMs).toISOString().slice(11, 19);
  if (why === 'breaker-open') return `failed too often and is left alone until ${until} UTC`;
  if (why === 'probing') return 'failed too often, and one call is trying whether it answers again';
  if (why === 'busy') return 'has as many calls of this worker as it may have';
  return `cannot be used for this call (${why})`;
}

function cannotServe(passed: readonly Passed[]): ApplicationFailure {
  const message = passed.map((each) => `${each.id} ${sentenceOf(each)}`).join('; ');
  return toApplicationFailure({ cause: 'validation', disposition: 'final', message, sent: 'no' }, { retryable: false });
}
