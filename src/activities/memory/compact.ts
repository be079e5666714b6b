import { type ChainNode, summaryOf } from '../../domain/memory/chain.ts';
import { contextRoom, firstBytesMax, summaryBytesMax } from '../../domain/memory/context-room.ts';
import { findCut } from '../../domain/memory/plan-compaction.ts';
import { type Piece, piecesOf } from '../../domain/memory/summary.ts';
import { utterancesOf } from '../../domain/memory/utterances.ts';
import { chooseModel, type ModelChoice, modelsPerAttempt, tierOf } from '../../domain/model/model-policy.ts';
import type { Release } from '../../domain/release/release.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { CompactInput } from '../../domain/run/activity-inputs.ts';
import type { CompactResult } from '../../domain/run/results.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { chooseRoute, type Route } from '../model/prepare-call.ts';
import { alongRoutes } from '../model/routing/along-routes.ts';
import { attemptTime } from '../model/routing/attempt-time.ts';
import type { Passage } from '../model/routing/passage.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';
import { type InPlace, planInPlace } from './plan-in-place.ts';
import { summarise, type SummaryJob } from './summarise.ts';

/** Bytes of a piece for each token of room that the summariser has: even text of two bytes a token then fits with room to spare. */
const PIECE_BYTES_PER_TOKEN = 1.5;

/** Bytes of a piece where the summariser has hardly any room. */
const PIECE_BYTES_MIN = 2_000;

/** Bytes of text that a summariser writes in a token of its reply, at least. */
const WRITTEN_BYTES_PER_TOKEN = 3;

type Job = SummaryJob & {
  readonly pieces: readonly Piece[];
  /** The summary that the oldest replaced node is. */
  readonly before: string | null;
  readonly kept: { readonly first: readonly ChainNode[]; readonly newest: readonly ChainNode[] };
  readonly replaced: readonly ChainNode[];
};

/**
 * Puts a summary in the place of a run's oldest turns: a new chain of what the user said first, the summary, and the newest turns. What it replaces
 * stays stored and is named by the summary's node. The summariser reads only turns that are over, never what is asked next. Each piece that was paid for
 * is kept, so another attempt goes on after it.
 */
export async function compact(dependencies: ActivityDependencies, input: CompactInput): Promise<CompactResult> {
  const begunAt = performance.now();
  return runActivity(input, async () => {
    const { stores } = dependencies;
    const facts = await stores.runs.factsOf(input.tenant, agentRunIdOfActivity());
    const release = await stores.releases.get(facts.release);
    const small = await chooseRoute(dependencies, release, { isNearCap: false, tier: 'small' });
    const inPlace = await planInPlace(dependencies, input, { facts, release, small });
    return alongRoutes(dependencies, inPlace?.route ?? small, {
      agent: facts.agent,
      isPatient: input.patient === true,
      time: attemptTime(begunAt, modelsPerAttempt(release.models)),
      with: async (route, passage) => {
        const job = await prepare(dependencies, input, { facts, release, route, passage, begunAt });
        // Only at the run's own model is the prompt kept.
        return compactWith(dependencies, job, route.routes.isHome ? inPlace : null);
      },
      whyNotResult: ({ kind }) => (kind === 'budget-refused' ? 'budget' : null),
    });
  });
}

async function compactWith(
  dependencies: ActivityDependencies,
  job: Job,
  inPlace: InPlace | null,
): Promise<CompactResult> {
  if (inPlace !== null) {
    const asked = { piece: { text: '', to: job.through }, index: 0, before: null };
    const written = await summarise(dependencies, job, { ...asked, inPlace: inPlace.requestFor(job.bytesMax) });
    if (written.kind === 'throttled') return written;
    if (written.kind === 'summary') {
      return { kind: 'compacted', head: await relink(dependencies, job, written.ref), total: written.total };
    }
  }
  let { before } = job;
  for (const [index, piece] of job.pieces.entries()) {
    const written = await summarise(dependencies, job, { piece, index, before });
    if (written.kind === 'unsummarised') break;
    if (written.kind !== 'summary') return written;
    if (index < job.pieces.length - 1) {
      before = written.text;
      continue;
    }
    return { kind: 'compacted', head: await relink(dependencies, job, written.ref), total: written.total };
  }
  throw new Error(`turns 1 to ${job.through} say nothing that could be summarised`);
}

type Chosen = {
  readonly facts: RunFacts;
  readonly release: Release;
  readonly route: Route;
  readonly passage: Passage;
  readonly begunAt: number;
};

async function prepare(
  { stores }: ActivityDependencies,
  input: CompactInput,
  { facts, release, route, passage, begunAt }: Chosen,
): Promise<Job> {
  const { tenant, turn, through } = input;
  const standard = chooseModel(release.models, tierOf(release.models, undefined));
  const { choice } = route;
  const nodes = await stores.transcripts.readNodes(tenant, facts.scope, input.head);
  const found = findCut(nodes, through, firstBytesMax(standard));
  if (found === null) throw new Error(`the transcript cannot be cut after turn ${through}`);
  const replaced = nodes.slice(found.first, found.cut);
  const bytesMax = summaryBytes(standard, choice);
  return {
    tenant,
    turn,
    through,
    facts,
    ...route,
    passage,
    begunAt,
    bytesMax,
    isPatient: input.patient === true,
    pieces: withEnd(piecesOf(utterancesOf(replaced), pieceBytes(choice, bytesMax)), through),
    before: replaced[0] === undefined ? null : (summaryOf(replaced[0])?.text ?? null),
    kept: { first: nodes.slice(0, found.first), newest: nodes.slice(found.cut) },
    replaced,
  };
}

/** The last piece ends with the turn that was planned, though the results of its calls stand in the next. */
function withEnd(pieces: readonly Piece[], through: number): readonly Piece[] {
  return pieces.map((piece, index) => (index === pieces.length - 1 ? { ...piece, to: through } : piece));
}

/** A summary must fit the agent's model beside the kept turns, and be written by the summariser in one reply. */
function summaryBytes(standard: ModelChoice, small: ModelChoice): number {
  return Math.min(
    summaryBytesMax(standard),
    summaryBytesMax(small),
    Math.max(1, small.outputTokensMax) * WRITTEN_BYTES_PER_TOKEN,
  );
}

function pieceBytes(small: ModelChoice, summary: number): number {
  return Math.max(PIECE_BYTES_MIN, Math.floor(contextRoom(small) * PIECE_BYTES_PER_TOKEN) - summary);
}

/** Appends the summary and the kept turns again. Addresses follow from content, so doing it twice changes nothing. */
async function relink({ stores }: ActivityDependencies, job: Job, summary: string): Promise<string> {
  const { tenant, facts, kept, replaced } = job;
  const range = { from: replaced[0]?.address ?? '', to: replaced.at(-1)?.address ?? '' };
  const previous = kept.first.at(-1)?.address ?? null;
  let head = await stores.transcripts.appendSummary(tenant, facts.scope, previous, summary, range);
  for (const { segments } of kept.newest) {
    head = await stores.transcripts.append(
      tenant,
      facts.scope,
      head,
      segments.map(({ ref }) => ref),
    );
  }
  return head;
}
