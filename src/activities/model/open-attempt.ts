import { ATTACHMENTS_BYTES_MAX, fileBytes } from '../../domain/model/attachment.ts';
import { canonicalJson, utf8Bytes } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { worstCost } from '../../domain/model/price.ts';
import { isTooLongForCertain } from '../../domain/memory/context-room.ts';
import { LAST_ANSWER_GUIDANCE, type LastAnswer } from '../../domain/run/last-answer.ts';
import type { BudgetRefused, ModelResult } from '../../domain/run/results.ts';
import type { Dimension } from '../../domain/run/run-end.ts';
import type { Left, Reserved } from '../../stores/call-types.ts';
import type { NewObservation, OpenObservation } from '../../stores/observations.ts';
import { noteUncalled } from '../../stores/uncalled-attempts.ts';
import type { ActivityDependencies, ActivitySettings } from '../dependencies.ts';
import { accountRefused, starved, tooManyCalls, tooManyFiles } from './call-troubles.ts';
import { withCutResults } from './cut-results.ts';
import type { ResolvedModel } from './invoke-model.ts';
import { findProvider } from './provider-table.ts';
import { modelObservation } from './model-observation.ts';
import { routeTaken } from './routing/run-routed.ts';
import { type Call, contextTooLong, fileTokensMax, fixedBytesOf, tooLong, type TooLong } from './prepare-call.ts';

/** Paid replies of one turn that were of no use, before the run gives up: a model that breaks off this often will not answer. */
export const UNUSABLE_CALLS_MAX = 8;

/**
 * Calls of one turn without an answer before the run is blocked. Once it is, the calls go on every half minute, and only the budget bounds
 * what they may cost: a provider that is away for an hour ends no run.
 */
export const UNANSWERED_CALLS_MAX = 8;

/** Bytes that a provider may add around the parts of a node: roles and JSON; ids are in the parts. Bounds the reservation. */
const BYTES_PER_NODE = 64;

/**
 * Tokens that a provider itself puts before a prompt: Anthropic describes how tools are called in 346, on older models in 530, and schemas in some more; xAI
 * has a few hundred words of its own.
 */
const PROVIDER_TOKENS_MAX = 1_000;

/** Tokens of a last answer: some 1,500 words. What is kept back for it must not take much of what the run is there for. */
const CLOSING_OUTPUT_TOKENS = 2_000;

/** Tokens below which a last answer is not asked for: what is cut after a sentence helps nobody. */
const CLOSING_OUTPUT_TOKENS_MIN = 200;

/** Bytes that a turn may add before the last answer: a reply with its calls and their results. */
const CLOSING_ROOM_BYTES = 16 * 1024;

/** Bytes of the results among them. Longer ones are cut where the last answer could not be paid otherwise. */
const CLOSING_RESULTS_BYTES = CLOSING_ROOM_BYTES / 2;

/** The last turn keeps nothing for another: where it cannot be paid as it is, a shorter answer may. */
const NOTHING_HELD_BACK = { pico: 0n, tokens: 0 };

/** A call whose worst case is reserved, or the result that stands without one. */
export type OpenedAttempt<Asked extends Call> =
  | { readonly kind: 'opened'; readonly call: Asked; readonly observation: OpenObservation }
  | { readonly kind: 'result'; readonly result: ModelResult };

/**
 * Reserves the worst case of a call. Where that would use what the run keeps for its last answer, the last answer is what is called for, on the money
 * that was kept; where not even that fits, the budget is used up.
 */
export async function openAttempt<Asked extends Call>(
  dependencies: ActivityDependencies,
  call: Asked,
  id: string,
  lastAnswer: LastAnswer | null,
): Promise<OpenedAttempt<Asked>> {
  const asked = lastAnswer === 'last-turn' ? await closingCall(dependencies, call, 'turns') : call;
  const reserved = await reserve(dependencies, asked, id, lastAnswer);
  // A dear fallback ends no run, and blocks none: the run's own model may do better.
  const standsIn = !call.routes.isHome && call.fallback?.why !== 'near-cap';
  if (standsIn && (reserved.kind === 'closing' || reserved.kind === 'budget-held')) {
    const total = await dependencies.stores.budgets.totalOf(call.tenant, call.facts.id);
    const refused = { kind: 'budget-refused', dimension: reserved.dimension, total } as const;
    return give(reserved.kind === 'closing' ? await noteRefused(dependencies, asked, id, refused) : refused);
  }
  if (reserved.kind !== 'closing') return toOpened(asked, reserved);
  const { dimension, total } = reserved;
  const affordableLast = async (it: Asked): Promise<Asked | null> =>
    affordable(dependencies, await closingCall(dependencies, it, dimension), reserved.left);
  const last =
    (await affordableLast(call)) ??
    (await affordableLast(await withCutResults(dependencies, call, CLOSING_RESULTS_BYTES)));
  if (last === null)
    return give(await noteRefused(dependencies, asked, id, { kind: 'budget-refused', dimension, total }));
  return toOpened(last, await reserve(dependencies, last, id, null));
}

/** A call that the budget refuses stands on the receipt, as every attempt does. */
async function noteRefused(
  { stores, settings }: ActivityDependencies,
  call: Call,
  id: string,
  refused: BudgetRefused,
): Promise<BudgetRefused> {
  return noteUncalled(stores.db, call.tenant, observationOf(call, id, settings), refused);
}

function give(result: ModelResult): { readonly kind: 'result'; readonly result: ModelResult } {
  return { kind: 'result', result };
}

function toOpened<Asked extends Call>(call: Asked, reserved: Reserved | TooLong): OpenedAttempt<Asked> {
  switch (reserved.kind) {
    case 'reserved':
      return { kind: 'opened', call, observation: reserved.observation };
    case 'replied':
      return give({ ...reserved.reply, total: reserved.total });
    case 'budget-refused':
      return give(reserved);
    case 'closing':
      return give({ kind: 'budget-refused', dimension: reserved.dimension, total: reserved.total });
    case 'account-refused':
      return give(accountRefused(reserved));
    case 'too-long':
      return give(contextTooLong(call, reserved));
    case 'budget-held':
      throw starved(call, reserved);
    case 'too-many-calls':
      throw tooManyCalls(call, reserved);
  }
}

async function reserve(
  { stores, settings }: ActivityDependencies,
  call: Call,
  id: string,
  lastAnswer: LastAnswer | null,
): Promise<Reserved | TooLong> {
  const { tenant, facts, choice } = call;
  const { bytes, nodes } = await stores.transcripts.sizeOf(tenant, facts.scope, call.prompt);
  if (isTooLongForCertain(choice, bytes)) return tooLong(call, bytes);
  if (fileBytes(call.parts) > ATTACHMENTS_BYTES_MAX) throw tooManyFiles(call);
  const bound = boundOf(call, bytes, nodes);
  return stores.modelCalls.reserve(
    tenant,
    {
      id,
      worstPico: worstCost(call.price, bound),
      worstTokens: bound.inputTokens + bound.outputTokens,
      unusableMax: UNUSABLE_CALLS_MAX,
      unansweredMax: call.isPatient ? Number.POSITIVE_INFINITY : UNANSWERED_CALLS_MAX,
      isQuiet: call.isPatient,
      ...(lastAnswer === null
        ? {}
        : { heldBack: lastAnswer === 'keep' ? closingCost(call, bound) : NOTHING_HELD_BACK }),
    },
    observationOf(call, id, settings),
  );
}

function observationOf(call: Call, id: string, settings: ActivitySettings): NewObservation {
  return { ...modelObservation(call, id, settings), route: routeTaken(call) };
}

type Bound = { readonly inputTokens: number; readonly outputTokens: number };

function boundOf(call: Call, bytes: number, nodes: number): Bound {
  const { output } = call.release;
  // The instructions tell the schema of the answer, and the request has it once more.
  const schemaBytes = output === undefined ? 0 : utf8Bytes(canonicalJson(output.schema));
  return {
    inputTokens:
      bytes +
      fixedBytesOf(call) +
      schemaBytes +
      (nodes + 1) * BYTES_PER_NODE +
      fileTokensMax(call) +
      providerTokensMax(call.resolved),
    outputTokens: call.choice.outputTokensMax,
  };
}

/** Bounds what a model's provider adds to a prompt. Models of our own have none; a recording reserves what was reserved when it was made. */
export function providerTokensMax({ provider }: Pick<ResolvedModel, 'provider'>): number {
  return findProvider(provider) === null ? 0 : PROVIDER_TOKENS_MAX;
}

/** What a last answer after this call can cost at most: it reads what this one reads and what the turn adds, and writes little. */
function closingCost({ price }: Call, { inputTokens, outputTokens }: Bound) {
  const last = {
    inputTokens: inputTokens + CLOSING_ROOM_BYTES,
    outputTokens: Math.min(outputTokens, CLOSING_OUTPUT_TOKENS),
  };
  return { pico: worstCost(price, last), tokens: last.inputTokens + last.outputTokens };
}

/** Makes the call for a last answer: the same prefix and tools, and at the end the word that only an answer is left. */
async function closingCall<Asked extends Call>(
  { stores }: ActivityDependencies,
  call: Asked,
  closedBy: Dimension,
): Promise<Asked> {
  const { tenant, facts, head, delta, parts } = call;
  const guidance: MessagePart = { kind: 'guidance', text: LAST_ANSWER_GUIDANCE, isClosing: true };
  const ref = await stores.transcripts.writePart(tenant, facts.scope, guidance);
  const prompt = await stores.transcripts.append(tenant, facts.scope, head, [...delta, ref]);
  return { ...call, prompt, parts: [...parts, guidance], closedBy };
}

/** Lets a last answer be as long as what is left can pay for; null where that is too little to be of use. */
async function affordable<Asked extends Call>(
  { stores }: ActivityDependencies,
  call: Asked,
  left: Left,
): Promise<Asked | null> {
  const { tenant, facts, choice, price, prompt } = call;
  const { bytes, nodes } = await stores.transcripts.sizeOf(tenant, facts.scope, prompt);
  const { inputTokens } = boundOf(call, bytes, nodes);
  const perToken = worstCost(price, { inputTokens: 0, outputTokens: 1 });
  const forOutput = left.pico === null ? null : left.pico - worstCost(price, { inputTokens, outputTokens: 0 });
  const limits = [
    choice.outputTokensMax,
    CLOSING_OUTPUT_TOKENS,
    ...(left.tokens === null ? [] : [Number(left.tokens) - inputTokens]),
    ...(forOutput === null ? [] : [forOutput < 0n ? -1 : perToken === 0n ? Infinity : Number(forOutput / perToken)]),
  ];
  const outputTokensMax = Math.min(...limits);
  if (outputTokensMax < Math.min(choice.outputTokensMax, CLOSING_OUTPUT_TOKENS_MIN)) return null;
  return { ...call, choice: { ...choice, outputTokensMax } };
}
