import type { Candidate, Fallback, FallbackWhy } from '../../../domain/model/model-policy.ts';
import { ModelUnavailable } from '../model-errors.ts';
import type { ModelPrice } from '../../../domain/model/price.ts';
import type { ResolvedModel } from '../invoke-model.ts';
import type { Route } from '../prepare-call.ts';
import { withCachePrice } from '../prompt-cache.ts';
import type { Models } from '../providers.ts';

/** A model that was passed over, and why. */
export type Passed = {
  readonly id: string;
  readonly isHome: boolean;
  readonly why: FallbackWhy;
  /** What it failed with, where it did. */
  readonly error?: unknown;
  /** Milliseconds until it may be asked, where time is all that it needs. */
  readonly waitMs?: number;
};

/** The models that are left, and those that were passed over. */
export type Routes = {
  readonly isHome: boolean;
  readonly left: readonly Candidate[];
  readonly passed: readonly Passed[];
};

/**
 * Opens the first of some models that this worker can call.
 *
 * @throws ModelUnavailable when it can call none; it tells of the first.
 */
export async function openRoutes(models: Models, candidates: readonly Candidate[]): Promise<Route> {
  const home = candidates.find(({ isHome }) => isHome) ?? candidates[0];
  if (home === undefined) throw new Error('a tier has at least one model');
  // What the configuration puts in the place of several models is still one, and is asked once.
  const ids = candidates.map(({ choice }) => choice.id);
  const left = candidates.filter(({ choice }, index) => ids.indexOf(choice.id) === index);
  const found = await openNext(models, { home: home.choice, left, passed: [] });
  if (found.kind === 'found') return found.route;
  throw (found.passed.find(({ isHome }) => isHome) ?? found.passed[0])?.error;
}

/** Opens the next of the models that are left, after one was passed over. */
export async function nextRoute(models: Models, { home, routes }: Route, passed: Passed): Promise<NextRoute> {
  return openNext(models, { home, left: routes.left, passed: [...routes.passed, passed] });
}

export type NextRoute =
  { readonly kind: 'found'; readonly route: Route } | { readonly kind: 'none'; readonly passed: readonly Passed[] };

async function openNext(
  models: Models,
  from: Pick<Route, 'home'> & Pick<Routes, 'left' | 'passed'>,
): Promise<NextRoute> {
  const passed = [...from.passed];
  for (const [index, { choice, tier, isHome }] of from.left.entries()) {
    try {
      const resolved = await models.resolve(choice);
      const price = withCachePrice({ choice, resolved, price: priceOf(resolved) });
      const routes = { isHome, left: from.left.slice(index + 1), passed };
      const fallback = fallbackOf(from.left, passed, isHome);
      return { kind: 'found', route: { choice, resolved, price, tier, home: from.home, fallback, routes } };
    } catch (error) {
      if (!(error instanceof ModelUnavailable)) throw error;
      const why = error.failureCause === 'model-authentication' ? 'authentication' : 'unavailable';
      passed.push({ id: choice.id, isHome, why, error });
    }
  }
  return { kind: 'none', passed };
}

/** The home model needs no reason. A cheaper one is asked because the cap is near; any other because the home model, or the one before, could not. */
function fallbackOf(left: readonly Candidate[], passed: readonly Passed[], isHome: boolean): Fallback | null {
  if (isHome) return null;
  const cause = passed.find((each) => each.isHome) ?? passed.at(-1);
  if (cause !== undefined) return { from: cause.id, why: cause.why };
  const home = left.find((each) => each.isHome);
  return home === undefined ? null : { from: home.choice.id, why: 'near-cap' };
}

/** @throws ModelUnavailable for a model without a price: under a money cap it must be refused. */
function priceOf({ id, price }: ResolvedModel): ModelPrice {
  if (price !== null) return price;
  const mend = 'Set PERDURE_MODEL_CEILING_USD_PER_MTOK to the most that a million of its tokens can cost.';
  throw new ModelUnavailable('model-error', `${id} has no price, so no cap could be kept`, mend);
}
