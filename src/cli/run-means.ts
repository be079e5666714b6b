import { chainOf, providerOf, type Tier, tierOf, TIERS } from '../domain/model/model-policy.ts';
import type { BreakerRecord } from '../domain/model/breaker.ts';
import { isNearCap } from '../domain/policy/budget.ts';
import type { Release } from '../domain/release/release.ts';
import type { RunRecord, TimelineEntry } from '../domain/schemas/run-records.ts';
import type { RateRecord } from '../stores/rate-records.ts';
import { type AccountData, accountData } from './format/budget.ts';
import type { OpenRuns } from './open-runs.ts';

/** What a run calls models with: who may answer, who did, what may be spent, and what holds its calls up. */
export type RunMeans = {
  /** Who may answer, in order, for each tier that the run has asked for. */
  readonly chains: readonly { readonly tier: Tier; readonly models: readonly string[] }[];
  /** Who was asked, and why in the place of another. */
  readonly routes: readonly RunRoute[];
  /** Breakers of these models that are not closed; none where the run has ended. */
  readonly breakers: readonly BreakerRecord[];
  /** Accounts of the run that have a cap, its own first. */
  readonly budgets: readonly (AccountData & { readonly isNearCap: boolean })[];
  /** Rate limits that were asked for these models in their last window, or are waited for; none where the run has ended. */
  readonly limits: readonly RateRecord[];
};

/** Attempts of a run at one model, on one way to it. Money is pico-dollars as decimal strings. */
export type RunRoute = {
  readonly model: string;
  readonly tier: string | null;
  /** Why this model was asked in the place of another, and which: `breaker-open openai:gpt-5`. */
  readonly fallback: string | null;
  readonly attempts: number;
  readonly replied: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costPico: string;
  readonly isCostSimulated: boolean;
};

/** Outcomes of attempts that a model has answered. */
const REPLIES: readonly string[] = ['replied', 'summarised'];

/** Outcomes of attempts that asked no model. */
const UNCALLED: readonly string[] = ['kept', 'throttled', 'refused', 'budget-refused', 'budget-held'];

/** Reads what a run calls models with. */
export async function readMeans(
  { stores }: Pick<OpenRuns, 'stores'>,
  { tenant, id, release, end }: Pick<RunRecord, 'tenant' | 'id' | 'release' | 'end'>,
  timeline: readonly TimelineEntry[],
): Promise<RunMeans> {
  const routes = routesOf(timeline);
  const found = await stores.releases.get(release).catch(() => null);
  const chains = found === null ? [] : chainsOf(found.models, routes);
  const models = [...new Set([...chains.flatMap((chain) => chain.models), ...routes.map(({ model }) => model)])];
  const [breakers, budgets, limits] = await Promise.all([
    stores.breakers.list(),
    stores.budgets.ofRun(tenant, id),
    stores.rateLimits.show(),
  ]);
  return {
    chains,
    routes,
    breakers: breakers.filter(({ model, status }) => end === null && status !== 'closed' && models.includes(model)),
    budgets: budgets.map((account) => ({ ...accountData(account), isNearCap: isNearCap(account) })),
    limits: end === null ? limitsOf(models, limits.filter(isInForce)) : [],
  };
}

/** Adds up the attempts of a run by model, tier and the reason why that model was asked, in the order of the first ones. */
export function routesOf(timeline: readonly TimelineEntry[]): readonly RunRoute[] {
  const routes = new Map<string, RunRoute>();
  for (const entry of timeline) {
    if (entry.kind === 'tool' || UNCALLED.includes(entry.outcome)) continue;
    const { name: model, tier = null, fallback = null, isCostSimulated } = entry;
    const key = JSON.stringify([model, tier, fallback]);
    const before = routes.get(key);
    routes.set(key, {
      model,
      tier,
      fallback,
      attempts: (before?.attempts ?? 0) + 1,
      replied: (before?.replied ?? 0) + (REPLIES.includes(entry.outcome) ? 1 : 0),
      inputTokens: (before?.inputTokens ?? 0) + (entry.inputTokens ?? 0),
      outputTokens: (before?.outputTokens ?? 0) + (entry.outputTokens ?? 0),
      costPico: String(BigInt(before?.costPico ?? '0') + BigInt(entry.costPico ?? '0')),
      isCostSimulated: (before?.isCostSimulated ?? false) || isCostSimulated,
    });
  }
  return [...routes.values()];
}

/** A run that has asked nobody yet will ask for what its release uses. */
function chainsOf(policy: Release['models'], routes: readonly RunRoute[]): RunMeans['chains'] {
  const asked = TIERS.filter((tier) => routes.some((route) => route.tier === tier));
  const tiers = asked.length === 0 ? [tierOf(policy, undefined)] : asked;
  return tiers.map((tier) => ({ tier, models: chainOf(policy, tier).map(({ choice }) => choice.id) }));
}

/** A limit that no call has asked for in a whole window of it, and none waits for, holds nobody up; no worker may have it any more. */
function isInForce({ usedAt, limit, waiting }: RateRecord): boolean {
  return waiting.length > 0 || Date.now() - usedAt.getTime() < limit.windowMs;
}

/** A model has a limit of its own, or shares its provider's. */
function limitsOf(models: readonly string[], limits: readonly RateRecord[]): readonly RateRecord[] {
  const subjects = models.map((id) => (limits.some(({ subject }) => subject === id) ? id : providerOf(id)));
  return limits.filter(({ subject }) => subjects.includes(subject));
}
