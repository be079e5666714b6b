import type { MessagePart } from '../../domain/model/message-part.ts';
import type { Release } from '../../domain/release/release.ts';
import type { ClosingReason } from '../../domain/run/early-exit.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import type { RepliedCall } from '../../domain/run/results.ts';
import type { StoredReply } from '../../stores/database.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { toolCallId } from '../tool/tool-call-id.ts';
import { checkAnswer } from './check-answer.ts';
import type { ModelReply } from './invoke-model.ts';
import { closingParts, notWhileClosing } from './closing-words.ts';
import { type JudgedCall, judgeCall } from './judge-call.ts';
import type { Route } from './prepare-call.ts';
import { printable } from './printable.ts';
import { signed } from './signed.ts';
import { routeTaken } from './routing/run-routed.ts';

/** Calls of a reply that are kept at all. Those above 32 are told that they were not made; a model that makes hundreds needs no more of that. */
const CALLS_KEPT_MAX = 64;

/** Characters of a model's name as its provider says it: providers have names of at most 100. */
const MODEL_ID_LENGTH_MAX = 200;

type Reply = Pick<Route, 'tier' | 'resolved' | 'fallback'> &
  Partial<Pick<Route, 'routes'>> & {
    readonly tenant: string;
    readonly turn: number;
    readonly facts: RunFacts;
    readonly release: Release;
    readonly prompt: string | null;
    readonly heard: number;
    readonly closing?: ClosingReason;
  };

type ToolCallPart = MessagePart & { readonly kind: 'tool-call' };

/**
 * Writes a reply to the transcript and judges its calls on their full, parsed arguments. What enters history is small: references,
 * hashes, arguments up to 1 KiB.
 */
export async function keepReply(
  dependencies: ActivityDependencies,
  reply: Reply,
  model: ModelReply,
): Promise<StoredReply> {
  const { transcripts } = dependencies.stores;
  const agent = dependencies.agents.get(reply.facts.agent);
  const write = (part: MessagePart): Promise<string> =>
    transcripts.writePart(reply.tenant, reply.facts.scope, signed(part, reply.resolved));
  const refs: string[] = [];
  const calls: RepliedCall[] = [];
  const texts: { readonly ref: string; readonly text: string }[] = [];
  for (const part of closingParts(reply, model.parts)) {
    if (part.kind === 'tool-call') {
      if (calls.length >= CALLS_KEPT_MAX) continue;
      const judged = notWhileClosing(reply, judgeCall(agent, reply.release, part, calls.length));
      const own = { ...part, toolCallId: toolCallId(reply.turn, calls.length), toolName: judged.tool };
      const ref = await write(own);
      refs.push(ref);
      calls.push(await toRepliedCall(dependencies, reply, own, ref, judged));
      continue;
    }
    const ref = await write(part);
    refs.push(ref);
    if (part.kind === 'assistant-text') texts.push({ ref, text: part.text });
  }
  const head = await transcripts.append(reply.tenant, reply.facts.scope, reply.prompt, refs);
  const last = texts.at(-1);
  const isAnswer = calls.length === 0 && last !== undefined;
  const answer = isAnswer ? await answerOf(dependencies, reply, texts) : {};
  return {
    kind: 'replied',
    head,
    heard: reply.heard,
    ...answer,
    calls,
    model: printable(model.modelId, MODEL_ID_LENGTH_MAX),
    ...(reply.closing === undefined ? {} : { closing: reply.closing }),
    route: routeTaken(reply),
  };
}

type WrittenText = { readonly ref: string; readonly text: string };

/** The answer is the last text; where it must fit a schema, it is the JSON that it stands for, kept beside the transcript. */
async function answerOf(
  { stores, agents }: ActivityDependencies,
  { tenant, facts, release }: Reply,
  texts: readonly WrittenText[],
): Promise<Pick<StoredReply, 'answer' | 'misfit'>> {
  const last = texts.at(-1) as WrittenText;
  const toAnswer = ({ ref, text }: WrittenText) => ({
    answer: { ref, preview: printable(text, LIMITS.previewLengthMax) },
  });
  if (release.output === undefined) return toAnswer(last);
  const said = [last.text, texts.map(({ text }) => text).join('')];
  const checked = checkAnswer(release.output, agents.get(facts.agent)?.output, said);
  if (checked.kind === 'misfit') return { misfit: printable(checked.problem, LIMITS.misfitLengthMax) };
  const { text } = checked;
  const ref = await stores.transcripts.writePart(tenant, facts.scope, { kind: 'assistant-text', text });
  return toAnswer({ ref, text });
}

async function toRepliedCall(
  { stores }: ActivityDependencies,
  { tenant, facts }: Reply,
  { toolCallId: id }: ToolCallPart,
  ref: string,
  { tool, argsHash, inline, outcome }: JudgedCall,
): Promise<RepliedCall> {
  const call = { tool, argsHash, ...(inline ?? { argsRef: ref }) };
  if (outcome.kind !== 'problem') return { ...call, verdict: outcome };
  const result = { toolCallId: id, toolName: tool, isError: true, output: outcome.problem };
  const answer = await stores.transcripts.writePart(tenant, facts.scope, { kind: 'tool-result', ...result });
  return { ...call, verdict: { kind: 'answered', ref: answer } };
}
