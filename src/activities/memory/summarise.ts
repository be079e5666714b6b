import { canonicalJson } from '../../domain/json.ts';
import {
  extractSummary,
  type Piece,
  SUMMARY_INSTRUCTIONS,
  summaryPart,
  summaryRequest,
} from '../../domain/memory/summary.ts';
import type { Fallback, ModelChoice, Tier } from '../../domain/model/model-policy.ts';
import { type ModelPrice, worstCost } from '../../domain/model/price.ts';
import type { BudgetRefused, RunTotal, Throttled } from '../../domain/run/results.ts';
import type { ModelAttempt } from '../../stores/model-calls.ts';
import type { ClosedObservation } from '../../stores/observations.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { classify } from '../failures.ts';
import { untilStored } from '../until-stored.ts';
import { accountRefused, starved, tooManyCalls } from '../model/call-troubles.ts';
import { parametersOf } from '../model/call-settings.ts';
import { providerTokensMax, UNANSWERED_CALLS_MAX, UNUSABLE_CALLS_MAX } from '../model/open-attempt.ts';
import { modelObservation } from '../model/model-observation.ts';
import { attemptId } from '../model/prepare-call.ts';
import { askRateLimit, type Permit, sizeOf } from '../model/rate-limit.ts';
import type { Passage } from '../model/routing/passage.ts';
import { routeTaken } from '../model/routing/run-routed.ts';
import { inProcessModel } from '../model/in-process-model.ts';
import { type ModelReply, type ModelRequest, type ResolvedModel, usageBound } from '../model/invoke-model.ts';
import {
  askModel,
  keepPaid,
  type Outcome,
  outcomeOfFailure,
  outcomeOfReply,
  settleFailed,
} from '../model/paid-call.ts';

/** Bytes of a word with its space: words are what a model can count. */
const BYTES_PER_WORD = 8;

/** What is the same for every piece of a compaction. */
export type SummaryJob = {
  readonly tenant: string;
  /** Last turn that is over. */
  readonly turn: number;
  readonly through: number;
  readonly facts: RunFacts;
  readonly choice: ModelChoice;
  readonly resolved: ResolvedModel;
  readonly price: ModelPrice;
  readonly tier: Tier;
  readonly fallback: Fallback | null;
  readonly passage: Passage;
  /** When the attempt began, on the monotonic clock. All pieces share its time. */
  readonly begunAt: number;
  /** Bytes that the summary may have. */
  readonly bytesMax: number;
  readonly isPatient: boolean;
};

type Asked = {
  readonly piece: Piece;
  readonly index: number;
  /** What is known of the turns before the piece. */
  readonly before: string | null;
  /** What is asked in place of the piece's text. Where this gives no summary, there is another way. */
  readonly inPlace?: ModelRequest;
};

/** `unsummarised`: asked in place, and there is no summary. */
type Written =
  | { readonly kind: 'summary'; readonly ref: string; readonly text: string; readonly total: RunTotal }
  | { readonly kind: 'unsummarised' }
  | BudgetRefused
  | Throttled;

const UNSUMMARISED = { kind: 'unsummarised' } as const;

/**
 * Summarises one piece of a transcript, with the money of a model call: reserved before, settled after, kept under what was asked, so that no attempt pays
 * for it again. When the model will not give a summary, an extract takes its place.
 */
export async function summarise(dependencies: ActivityDependencies, job: SummaryJob, asked: Asked): Promise<Written> {
  const { stores, failpoint } = dependencies;
  const { tenant, turn, facts } = job;
  const id = attemptId(facts.id, turn);
  const request = requestOf(job, asked, id);
  const key = await keyOf(dependencies, job, request);
  await failpoint('model:before-reserve');
  const reserved = await reserve(dependencies, job, asked, request, { id, key });
  if (asked.inPlace !== undefined && reserved.kind !== 'summarised' && reserved.kind !== 'reserved')
    return UNSUMMARISED;
  switch (reserved.kind) {
    case 'summarised':
      return written(dependencies, job, reserved.ref, reserved.total);
    case 'budget-refused':
      return reserved;
    case 'budget-held':
      throw starved(job, reserved);
    case 'account-refused':
      return accountRefused(reserved);
    case 'closing':
      return { kind: 'budget-refused', dimension: reserved.dimension, total: reserved.total };
    case 'too-many-calls': {
      if (reserved.what === 'unanswered') throw tooManyCalls(job, reserved);
      const ref = await write(dependencies, job, asked, extract(job, asked));
      return written(dependencies, job, ref, reserved.total);
    }
    case 'reserved': {
      await failpoint('model:reserved');
      const attempt = { runId: facts.id, turn, reservationId: id, observation: reserved.observation };
      const permit = await askPermit(dependencies, job, asked, request, attempt);
      if (permit.kind === 'throttled') return permit;
      const given = await ask(dependencies, job, asked, request, attempt, permit);
      await failpoint('model:replied');
      const { text } = given;
      if (text === null) {
        await settleFailed(stores, job, attempt, given);
        return UNSUMMARISED;
      }
      const settled = await keepPaid(stores, job, attempt, given, async () => {
        const ref = await write(dependencies, job, asked, text);
        return stores.modelCalls.settleSummary(tenant, attempt, given.charge, given.closed, { key, ref });
      });
      await failpoint('model:settled');
      return written(dependencies, job, settled.ref, settled.total);
    }
  }
}

/** Words of a summary of so many bytes. */
export function wordsMax(bytesMax: number): number {
  return Math.max(50, Math.floor(bytesMax / BYTES_PER_WORD));
}

function requestOf(
  { choice, bytesMax }: SummaryJob,
  { piece, before, inPlace }: Asked,
  requestId: string,
): ModelRequest {
  if (inPlace !== undefined) return { ...inPlace, requestId };
  const text = summaryRequest(before, piece, wordsMax(bytesMax));
  return {
    instructions: SUMMARY_INSTRUCTIONS,
    parts: [{ kind: 'user-text', text }],
    tools: [],
    outputTokensMax: choice.outputTokensMax,
    requestId,
    ...(choice.temperature === undefined ? {} : { temperature: choice.temperature }),
    settings: { parameters: parametersOf(choice) },
  };
}

/** Names a summary by what was asked, under the key of the scope: the row tells nothing about the words. */
async function keyOf(
  { stores }: ActivityDependencies,
  { tenant, facts, resolved, bytesMax }: SummaryJob,
  { instructions, parts }: ModelRequest,
): Promise<string> {
  const keys = await stores.scopes.keysOf(tenant, facts.scope);
  return keys.address(canonicalJson({ model: resolved.id, instructions, parts, bytesMax }));
}

async function reserve(
  { stores, settings }: ActivityDependencies,
  job: SummaryJob,
  { index }: Asked,
  request: ModelRequest,
  { id, key }: { readonly id: string; readonly key: string },
) {
  const usage = usageBound(request);
  const bound = { ...usage, inputTokens: usage.inputTokens + providerTokensMax(job.resolved) };
  return stores.modelCalls.reserveSummary(
    job.tenant,
    {
      id,
      worstPico: worstCost(job.price, bound),
      worstTokens: bound.inputTokens + bound.outputTokens,
      unusableMax: UNUSABLE_CALLS_MAX,
      unansweredMax: job.isPatient ? Number.POSITIVE_INFINITY : UNANSWERED_CALLS_MAX,
      summaryKey: key,
    },
    { ...modelObservation(job, id, settings), kind: 'compact', callIndex: index, route: routeTaken(job) },
  );
}

/**
 * Asks whether the call may be made now. A piece that was kept before is found without asking, so that this comes after the reservation; one
 * that has to wait frees it.
 */
async function askPermit(
  dependencies: ActivityDependencies,
  job: SummaryJob,
  { index }: Asked,
  request: ModelRequest,
  attempt: ModelAttempt,
): Promise<Permit | Throttled> {
  const free = async (outcome: string, message: string): Promise<unknown> =>
    untilStored(async () =>
      dependencies.stores.modelCalls.settle(job.tenant, attempt, { kind: 'free' }, { outcome, message }, null),
    );
  try {
    const permit = await askRateLimit(dependencies, {
      ...job,
      name: `compact ${job.through} ${index}`,
      size: () => sizeOf(request, job.choice),
    });
    if (permit.kind === 'throttled') await free('throttled', `waits for the ${permit.limit}`);
    return permit;
  } catch (error) {
    await free('failed', classify(error).message).catch(() => undefined);
    throw error;
  }
}

/** `text` is null where there is another way to a summary. */
type Given = Outcome & { readonly text: string | null };

/**
 * Asks the model. A refusal that asking again would not change gives an extract; everything else is settled and goes on as a failure, which is
 * tried again.
 */
async function ask(
  dependencies: ActivityDependencies,
  job: SummaryJob,
  asked: Asked,
  request: ModelRequest,
  attempt: ModelAttempt,
  permit: Permit,
): Promise<Given> {
  const summariser = { ...job, resolved: summariserOf(job, asked) };
  try {
    const reply = await permit.call(() => askModel(dependencies, summariser, request));
    const { charge, closed } = outcomeOfReply(job, reply, 'summarised');
    if (asked.inPlace !== undefined && textOf(reply) === '') return { text: null, charge, closed: wordless(closed) };
    return { text: textOf(reply) || extract(job, asked), charge, closed: { ...closed, message: said(asked) } };
  } catch (error) {
    const failed = outcomeOfFailure(job, error);
    if (failed.closed.outcome === 'failed' && failed.failure.disposition === 'final') {
      return { ...failed, text: asked.inPlace === undefined ? extract(job, asked) : null };
    }
    await settleFailed(dependencies.stores, job, attempt, failed);
    throw error;
  }
}

function wordless(closed: ClosedObservation): ClosedObservation {
  return { ...closed, outcome: 'failed', cause: 'model-error', message: 'it wrote no summary' };
}

/** A rehearsal plays an agent and knows nothing of summaries: an extract speaks for it, at the price of a rehearsal. */
function summariserOf(job: SummaryJob, asked: Asked): ResolvedModel {
  if (!job.resolved.id.startsWith('rehearsal:')) return job.resolved;
  const model = inProcessModel('rehearsal', 'extract', async () => ({ text: extract(job, asked) }));
  return { ...job.resolved, model };
}

function extract({ bytesMax }: SummaryJob, { before, piece }: Asked): string {
  return extractSummary(before, piece, bytesMax);
}

/** A model that calls tools here invents them: only its words count. */
function textOf({ parts }: ModelReply): string {
  return parts
    .flatMap((part) => (part.kind === 'assistant-text' ? [part.text] : []))
    .join('\n')
    .trim();
}

function said({ piece }: Asked): string {
  return `turns 1 to ${piece.to}`;
}

async function write(
  { stores }: ActivityDependencies,
  { tenant, facts, bytesMax }: SummaryJob,
  { piece }: Asked,
  text: string,
): Promise<string> {
  return stores.transcripts.writePart(tenant, facts.scope, summaryPart(text, { from: 1, to: piece.to }, bytesMax));
}

/** Reads a summary that is stored: another attempt may have written it. */
async function written(
  { stores }: ActivityDependencies,
  { tenant, facts }: SummaryJob,
  ref: string,
  total: RunTotal,
): Promise<Written> {
  const part = await stores.transcripts.readPart(tenant, facts.scope, ref);
  return { kind: 'summary', ref, text: part.kind === 'summary' ? part.text : '', total };
}
