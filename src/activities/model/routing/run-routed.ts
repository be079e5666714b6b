import { attachmentKind, withoutData } from '../../../domain/model/attachment.ts';
import { canonicalJson, utf8Bytes } from '../../../domain/json.ts';
import { isTooLongForCertain } from '../../../domain/memory/context-room.ts';
import { type FallbackWhy, modelsPerAttempt, type RouteTaken } from '../../../domain/model/model-policy.ts';
import type { CallModelInput } from '../../../domain/run/activity-inputs.ts';
import type { ModelResult } from '../../../domain/run/results.ts';
import type { ActivityDependencies } from '../../dependencies.ts';
import { runActivity } from '../../run-activity.ts';
import { findReplies, turnKeyOf } from '../../../stores/open-calls.ts';
import { noteUncalled } from '../../../stores/uncalled-attempts.ts';
import { modelObservation } from '../model-observation.ts';
import { attemptId, type Call, prepareCall, type Route } from '../prepare-call.ts';
import { alongRoutes } from './along-routes.ts';
import { attemptTime } from './attempt-time.ts';
import type { Passage } from './passage.ts';

/** A call on its way to one model. */
export type RoutedCall = Call & {
  readonly passage: Passage;
};

/** Prepares a turn's model call, and makes it with the first model of the chain that can answer. */
export async function runRouted(
  dependencies: ActivityDependencies,
  input: CallModelInput,
  work: (call: RoutedCall) => Promise<ModelResult>,
): Promise<ModelResult> {
  const begunAt = performance.now();
  return runActivity(input, async () => {
    const call = await prepareCall(dependencies, input);
    const kept = await giveKept(dependencies, call);
    if (kept !== null) return kept;
    return alongRoutes(dependencies, call, {
      agent: call.facts.agent,
      isPatient: call.isPatient,
      time: attemptTime(begunAt, modelsPerAttempt(call.release.models)),
      whyNot: (route) => whyNot(call, route, input),
      with: (route, passage) => work({ ...call, ...route, passage }),
      whyNotResult,
    });
  });
}

/** Gives the reply that an earlier attempt has paid for: whatever has become of its model since, and whoever would be asked now. */
async function giveKept({ stores, settings, streams }: ActivityDependencies, call: Call): Promise<ModelResult | null> {
  const { tenant, turn, facts } = call;
  const place = { tenant, runId: facts.id, turn };
  const reply = (await findReplies(stores.db, [place])).get(turnKeyOf(place));
  if (reply === undefined) return null;
  const total = await stores.budgets.totalOf(tenant, facts.id);
  const observation = { ...modelObservation(call, attemptId(facts.id, turn), settings), route: routeTaken(call) };
  await noteUncalled(stores.db, tenant, observation, { kind: 'replied', reply, total });
  streams?.settled(facts.id);
  return { ...reply, total };
}

/** Says which model a call goes to, as results and rows have it. */
export function routeTaken({ tier, resolved, fallback, routes }: Taken): RouteTaken {
  const passed = (routes?.passed ?? []).map(({ id: from, why }) => ({ from, why }));
  return {
    tier,
    id: resolved.id,
    ...(fallback === null ? {} : { fallback }),
    ...(passed.length < 2 ? {} : { passed }),
  };
}

type Taken = Pick<Route, 'tier' | 'resolved' | 'fallback'> & Partial<Pick<Route, 'routes'>>;

/** The model that a release uses was held against the run's files when they came; every other is here. */
function whyNot({ parts }: Call, { choice, routes }: Route, { tier }: CallModelInput): FallbackWhy | null {
  if (routes.isHome && tier === undefined) return null;
  const { reads = [] } = choice;
  if (parts.some((part) => part.kind === 'file' && !reads.includes(attachmentKind(part.mediaType))))
    return 'cannot-read';
  if (routes.isHome) return null;
  const bytes = parts.reduce((sum, part) => sum + utf8Bytes(canonicalJson(withoutData(part))), 0);
  return isTooLongForCertain(choice, bytes) ? 'too-long' : null;
}

/** What a model that stands in cannot hold, or is too dear for, the run's own may: neither ends the run, nor compacts its transcript. */
function whyNotResult({ kind }: ModelResult): FallbackWhy | null {
  if (kind === 'context-too-long') return 'too-long';
  return kind === 'budget-refused' ? 'budget' : null;
}
