import { activityInfo } from '@temporalio/activity';
import { fileTokens, withoutData } from '../../domain/model/attachment.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { chainOf, type Fallback, type ModelChoice, type Tier, tierOf, TIERS } from '../../domain/model/model-policy.ts';
import { withOutputContract } from '../../domain/model/output-contract.ts';
import type { ModelPrice } from '../../domain/model/price.ts';
import { canonicalJson, utf8Bytes } from '../../domain/json.ts';
import { bytesOf, type ChainNode } from '../../domain/memory/chain.ts';
import { dueAfterRefusal } from '../../domain/memory/compaction-due.ts';
import { isTooLongForCertain } from '../../domain/memory/context-room.ts';
import type { Release } from '../../domain/release/release.ts';
import type { ClosingReason } from '../../domain/run/early-exit.ts';
import type { CallModelInput } from '../../domain/run/activity-inputs.ts';
import type { ModelResult } from '../../domain/run/results.ts';
import type { Dimension } from '../../domain/run/run-end.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withRecalled } from '../memory/recall.ts';
import { agentRunIdOfActivity } from '../run-activity.ts';
import type { ResolvedModel } from './invoke-model.ts';
import { withClosingWords } from './closing-words.ts';
import { findCheaper } from './routing/find-cheaper.ts';
import { openRoutes, type Routes } from './routing/open-routes.ts';
import { uniqueCallIds } from './unique-call-ids.ts';

/** The model that an attempt calls, and what it costs. */
export type Route = {
  readonly choice: ModelChoice;
  readonly resolved: ResolvedModel;
  readonly price: ModelPrice;
  readonly tier: Tier;
  /** The model that the run should have: what is to be compacted, and when, follows from it alone. */
  readonly home: ModelChoice;
  /** Set where another model than that one is asked. */
  readonly fallback: Fallback | null;
  /** The models that come after this one. */
  readonly routes: Routes;
};

/** One attempt at a turn's model call: what is asked, and of which model. */
export type Call = Route & {
  readonly tenant: string;
  readonly turn: number;
  readonly facts: RunFacts;
  readonly release: Release;
  /** References of the delta that the prompt ends with. */
  readonly heard: number;
  /** Head of the transcript before this turn's delta, and what the delta adds. */
  readonly head: string | null;
  readonly delta: readonly string[];
  /** The transcript before this turn's delta. */
  readonly history: readonly ChainNode[];
  /** Head of the prompt: the transcript with this turn's delta. */
  readonly prompt: string | null;
  readonly parts: readonly MessagePart[];
  /** The run is blocked: this attempt is one of many until the cause is gone. */
  readonly isPatient: boolean;
  /** Set where the model is asked for its closing answer, and why. */
  readonly closing?: ClosingReason;
  /** Set where the reply is the run's last answer: what is used up. */
  readonly closedBy?: Dimension;
};

/** Reads what a call needs: the release, the transcript with the delta, and the model that is to answer. */
export async function prepareCall(dependencies: ActivityDependencies, input: CallModelInput): Promise<Call> {
  const { stores } = dependencies;
  const { tenant, turn } = input;
  const facts = await stores.runs.factsOf(tenant, agentRunIdOfActivity());
  const release = await stores.releases.get(facts.release);
  // Only another tier makes it matter, and it is asked at every call.
  const hasTiers = TIERS.filter((tier) => release.models[tier] !== undefined).length > 1;
  const isNearCap = hasTiers && (await stores.budgets.isNearCap(tenant, facts.id));
  const route = await chooseRoute(dependencies, release, { isNearCap, ...tierOfInput(input) });
  const history = await stores.transcripts.readNodes(tenant, facts.scope, input.head);
  const recalled = await withRecalled(stores, { tenant, scope: facts.scope }, history, input.delta);
  const delta = await withClosingWords(stores, { tenant, scope: facts.scope }, recalled, input.closing);
  const prompt =
    delta.length === 0 ? input.head : await stores.transcripts.append(tenant, facts.scope, input.head, delta);
  const parts = uniqueCallIds(await stores.transcripts.read(tenant, facts.scope, prompt));
  return {
    tenant,
    turn,
    facts,
    release,
    ...route,
    heard: input.delta.length,
    head: input.head,
    delta,
    history,
    prompt,
    parts,
    isPatient: input.patient === true,
    ...(input.closing === undefined ? {} : { closing: input.closing }),
  };
}

/**
 * Chooses the model that this attempt calls first; `routes` knows who comes next. Near the cap of a run a cheaper tier's model goes before that of
 * its own tier.
 *
 * @throws ModelUnavailable when this worker can call none of them; it tells of the first.
 */
export async function chooseRoute(
  dependencies: ActivityDependencies,
  release: Release,
  { isNearCap, tier }: { readonly isNearCap: boolean; readonly tier?: Tier },
): Promise<Route> {
  const usual = tierOf(release.models, tier);
  const cheaper = isNearCap ? await findCheaper(dependencies.models, release.models, usual) : null;
  return openRoutes(dependencies.models, [...(cheaper === null ? [] : [cheaper]), ...chainOf(release.models, usual)]);
}

function tierOfInput({ tier }: CallModelInput): { readonly tier?: Tier } {
  return tier === undefined ? {} : { tier };
}

/** Names an attempt: unique per execution of the activity, the same for its reservation and its observation. */
export function attemptId(runId: string, turn: number): string {
  return `${runId}-${turn}-${activityInfo().activityId}-${activityInfo().attempt}-${crypto.randomUUID().slice(0, 8)}`;
}

/** That a prompt does not fit its model. */
export type TooLong = { readonly kind: 'too-long'; readonly message: string };

/** Says that a transcript is longer than its model can hold. */
export function tooLong({ choice, resolved }: Call, bytes: number): TooLong {
  const message = `the transcript has ${bytes} bytes and ${resolved.id} takes ${choice.contextTokensMax} tokens; start a new run, or raise contextTokensMax where the model allows it`;
  return { kind: 'too-long', message };
}

/** Says that the prompt does not fit, and how much of the transcript before it a summary could replace: nothing that helps where what is new is too long alone. */
export function contextTooLong(call: Call, { message }: TooLong): ModelResult {
  const fixedBytes = fixedBytesOf(call);
  const newBytes = call.parts.reduce(
    (sum, part) => sum + utf8Bytes(canonicalJson(withoutData(part))),
    -bytesOf(call.history),
  );
  const isHopeless = isTooLongForCertain(call.choice, newBytes + fixedBytes);
  const through = isHopeless ? null : dueAfterRefusal(call.choice, call.history, fixedBytes);
  return { kind: 'context-too-long', message, compactThrough: through };
}

/** Bytes of what every prompt begins with. */
export function fixedBytesOf({ release }: Pick<Call, 'release'>): number {
  return utf8Bytes(withOutputContract(release.instructions, release.output)) + utf8Bytes(canonicalJson(release.tools));
}

/** Bounds the tokens of a call's files: no provider reads, or charges, more than the model's context. */
export function fileTokensMax({ parts, choice }: Call): number {
  return Math.min(fileTokens(parts), choice.contextTokensMax);
}
