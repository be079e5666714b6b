import type { Agent } from '../../authoring/define-agent.ts';
import { canonicalJson, type JsonValue, truncate, utf8Bytes } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { judgeCall } from '../../domain/policy/approval-policy.ts';
import type { Release } from '../../domain/release/release.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import type { CallVerdict, RepliedCall } from '../../domain/run/results.ts';
import { toolActivityType } from '../../domain/tool/contract.ts';
import { contentHash } from '../../domain/sha-256.ts';
import type { StoredReply } from '../../stores/database.ts';
import type { RunFacts } from '../../stores/runs.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { ASK_PERSON } from '../release/agent-release.ts';
import { findTool } from '../tool/find-tool.ts';
import { toolCallId } from '../tool/tool-call-id.ts';
import type { ModelReply } from './invoke-model.ts';

type Reply = {
  readonly tenant: string;
  readonly turn: number;
  readonly facts: RunFacts;
  readonly release: Release;
  readonly prompt: string | null;
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
  const write = (part: MessagePart): Promise<string> => transcripts.writePart(reply.tenant, reply.facts.scope, part);
  const refs: string[] = [];
  const calls: RepliedCall[] = [];
  const texts: { readonly ref: string; readonly text: string }[] = [];
  for (const part of model.parts) {
    if (part.kind === 'tool-call') {
      const own = { ...part, toolCallId: toolCallId(reply.turn, calls.length) };
      const ref = await write(own);
      refs.push(ref);
      calls.push(await judge(dependencies, reply, own, ref, calls.length));
      continue;
    }
    const ref = await write(part);
    refs.push(ref);
    if (part.kind === 'assistant-text') texts.push({ ref, text: part.text });
  }
  const head = await transcripts.append(reply.tenant, reply.facts.scope, reply.prompt, refs);
  const last = texts.at(-1);
  const isAnswer = calls.length === 0 && last !== undefined;
  return {
    kind: 'replied',
    head,
    ...(isAnswer ? { answer: { ref: last.ref, preview: truncate(last.text, LIMITS.previewLengthMax) } } : {}),
    calls,
    model: model.modelId,
  };
}

async function judge(
  { agents, stores }: ActivityDependencies,
  reply: Reply,
  part: ToolCallPart,
  ref: string,
  index: number,
): Promise<RepliedCall> {
  const answered = async (output: string): Promise<CallVerdict> => ({
    kind: 'answered',
    ref: await stores.transcripts.writePart(reply.tenant, reply.facts.scope, {
      kind: 'tool-result',
      toolCallId: part.toolCallId,
      toolName: part.toolName,
      isError: true,
      output,
    }),
  });
  const parsed = parseCall(agents.get(reply.facts.agent), reply.release, part, index);
  const input = parsed.kind === 'problem' ? part.input : parsed.input;
  const verdict = parsed.kind === 'problem' ? await answered(parsed.problem) : parsed.verdict;
  const isInline = utf8Bytes(canonicalJson(input)) <= LIMITS.inlineArgumentBytesMax;
  return {
    tool: part.toolName,
    ...(isInline ? { args: input } : { argsRef: ref }),
    argsHash: contentHash(input),
    verdict,
  };
}

type ParsedCall =
  | { readonly kind: 'fine'; readonly input: JsonValue; readonly verdict: CallVerdict }
  | { readonly kind: 'problem'; readonly problem: string };

function parseCall(agent: Agent | undefined, release: Release, part: ToolCallPart, index: number): ParsedCall {
  const { toolName } = part;
  if (index >= LIMITS.callsPerTurnMax) {
    return {
      kind: 'problem',
      problem: `Only ${LIMITS.callsPerTurnMax} calls are made at once; this one was not. Ask again.`,
    };
  }
  const contract = release.tools.find((candidate) => candidate.name === toolName);
  if (contract === undefined) {
    const known = release.tools.map((candidate) => candidate.name).join(', ');
    return { kind: 'problem', problem: `There is no tool ${toolName}. The tools are: ${known || 'none'}.` };
  }
  if (toolName === ASK_PERSON.name && agent?.asksPerson !== undefined) {
    return { kind: 'fine', input: part.input, verdict: { kind: 'ask', deadlineMs: agent.asksPerson.deadlineMs } };
  }
  const tool = findTool(agent, toolActivityType(contract));
  // A pinned tool that this worker does not hold is judged as it came; where it runs it is parsed and judged again.
  const parsed = tool?.parseInput(part.input) ?? ({ kind: 'ok', input: part.input } as const);
  if (parsed.kind === 'invalid') {
    return { kind: 'problem', problem: `The arguments of ${toolName} are not valid. ${parsed.message}` };
  }
  const verdict = judgeCall(release.approvals, { tool: toolName, effect: contract.effect, input: parsed.input });
  return { kind: 'fine', input: parsed.input, verdict };
}
