import { bytesOf, type ChainNode } from '../../domain/memory/chain.ts';
import { firstBytesMax, summaryBytesMax } from '../../domain/memory/context-room.ts';
import { findCut } from '../../domain/memory/plan-compaction.ts';
import { inPlaceRequest } from '../../domain/memory/summary.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { chooseModel, tierOf } from '../../domain/model/model-policy.ts';
import { costOf, type ModelPrice } from '../../domain/model/price.ts';
import type { Release } from '../../domain/release/release.ts';
import type { CompactInput } from '../../domain/run/activity-inputs.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { parametersOf } from '../model/call-settings.ts';
import type { ModelRequest } from '../model/invoke-model.ts';
import { chooseRoute, fixedBytesOf, type Route } from '../model/prepare-call.ts';
import { cacheRequestOf } from '../model/prompt-cache.ts';
import { findProvider } from '../model/provider-table.ts';
import { uniqueCallIds } from '../model/unique-call-ids.ts';
import { wordsMax } from './summarise.ts';

/** Bytes of prose in a token, for what two ways cost: only which of them is cheaper matters. */
const BYTES_PER_TOKEN = 4;

/** What stands for a result that the summary comes before: providers want one for each call. */
const LATER = 'The result comes after your summary.';

/** A summary that the run's own model writes at the end of the prompt that its provider has just kept, and reads at the price of the cache. */
export type InPlace = {
  readonly route: Route;
  readonly requestFor: (bytesMax: number) => ModelRequest;
};

type Chosen = { readonly facts: RunFacts; readonly release: Release; readonly small: Route };

/**
 * Plans to have the summary written in place. Null where that is not cheaper than to give the oldest turns to the model for summaries, and where the
 * prompt is likely not kept any more: after a reply that calls no tool a person is waited for.
 */
export async function planInPlace(
  dependencies: ActivityDependencies,
  { tenant, head, through }: CompactInput,
  { facts, release, small }: Chosen,
): Promise<InPlace | null> {
  const standard = tierOf(release.models, undefined);
  const route = await chooseRoute(dependencies, release, { isNearCap: false, tier: standard }).catch(() => null);
  if (route === null || !route.routes.isHome || release.output !== undefined) return null;
  if (findProvider(route.resolved.provider) === null || route.choice.promptCache === 'off') return null;
  const nodes = await dependencies.stores.transcripts.readNodes(tenant, facts.scope, head);
  const parts = uniqueCallIds(nodes.flatMap(({ segments }) => segments.map(({ part }) => part)));
  const open = openCalls(parts);
  if (open.length === 0 || parts.some(({ kind }) => kind === 'file')) return null;
  const cut = findCut(nodes, through, firstBytesMax(chooseModel(release.models, standard)));
  if (cut === null) return null;
  const fixedBytes = fixedBytesOf({ release });
  if (!isCheaper(route, small, { nodes, replaced: nodes.slice(cut.first, cut.cut), fixedBytes })) return null;
  const results = open.map(({ toolCallId, toolName }): MessagePart => {
    return { kind: 'tool-result', toolCallId, toolName, isError: false, output: LATER };
  });
  const { choice } = route;
  const requestFor = (bytesMax: number): ModelRequest => ({
    instructions: release.instructions,
    parts: [...parts, ...results, { kind: 'guidance', text: inPlaceRequest(wordsMax(bytesMax)) }],
    tools: release.tools,
    outputTokensMax: choice.outputTokensMax,
    cache: cacheRequestOf({ tenant, facts, choice }),
    ...(choice.temperature === undefined ? {} : { temperature: choice.temperature }),
    settings: { parameters: parametersOf(choice) },
  });
  return { route, requestFor };
}

type ToolCall = MessagePart & { readonly kind: 'tool-call' };

/** Lists the calls of the newest reply that have no result yet. */
function openCalls(parts: readonly MessagePart[]): readonly ToolCall[] {
  const answered = new Set(parts.flatMap((part) => (part.kind === 'tool-result' ? [part.toolCallId] : [])));
  return parts.flatMap((part) => (part.kind === 'tool-call' && !answered.has(part.toolCallId) ? [part] : []));
}

type Sizes = {
  readonly nodes: readonly ChainNode[];
  readonly replaced: readonly ChainNode[];
  readonly fixedBytes: number;
};

/** Compares the prompt at the price of the cache with the oldest turns at the price of input, and what either model writes. */
function isCheaper(own: Route, small: Route, { nodes, replaced, fixedBytes }: Sizes): boolean {
  const writtenBytes = Math.min(summaryBytesMax(own.choice), summaryBytesMax(small.choice));
  const kept = costOfBytes(own.price, { readBytes: bytesOf(nodes) + fixedBytes, writtenBytes, isKept: true });
  const anew = costOfBytes(small.price, { readBytes: bytesOf(replaced), writtenBytes, isKept: false });
  return kept < anew;
}

function costOfBytes(
  price: ModelPrice,
  bytes: { readonly readBytes: number; readonly writtenBytes: number; readonly isKept: boolean },
): bigint {
  const inputTokens = Math.ceil(bytes.readBytes / BYTES_PER_TOKEN);
  return costOf(price, {
    inputTokens,
    outputTokens: Math.ceil(bytes.writtenBytes / BYTES_PER_TOKEN),
    cacheReadTokens: bytes.isKept ? inputTokens : 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  });
}
