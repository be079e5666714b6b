import { picoFromUsd } from '../../domain/model/price.ts';
import type { Release } from '../../domain/release/release.ts';
import { type ExitPlan, exitPolicyOf } from '../../domain/run/exit-policy.ts';
import type { RunKind } from '../../domain/run/start.ts';
import { oddsOf } from '../../domain/run/worth.ts';
import type { Stores } from '../../stores/stores.ts';

/** Plans what ends a run early, as its release says it. */
export function plainExit({ exit }: Release): ExitPlan {
  const { goals = [], polls = [] } = exitPolicyOf(exit);
  return { goals, polls };
}

/**
 * Plans the same with what success is worth and how likely it has been, where the release names a value and enough runs of it have ended. Only for runs that
 * are one task from its beginning: a conversation has no success, and who takes a run up wants more of it.
 */
export async function planExit(
  { endedRuns }: Pick<Stores, 'endedRuns'>,
  tenant: string,
  { release, releaseId, kind }: { readonly release: Release; readonly releaseId: string; readonly kind: RunKind },
): Promise<ExitPlan> {
  const plain = plainExit(release);
  const { valueUsd } = exitPolicyOf(release.exit);
  if (valueUsd === undefined || kind !== 'single') return plain;
  const odds = oddsOf(await endedRuns.countEnds(tenant, releaseId), plain.goals.length > 0);
  return odds === null ? plain : { ...plain, worth: { valuePico: String(picoFromUsd(valueUsd)), odds } };
}
