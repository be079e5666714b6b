import type { Agent } from '../../authoring/define-agent.ts';
import { canonicalJson, type JsonValue, utf8Bytes } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { judgeCall as judgeByPolicy } from '../../domain/policy/approval-policy.ts';
import type { Release } from '../../domain/release/release.ts';
import { LIMITS } from '../../domain/run/limits.ts';
import type { CallVerdict } from '../../domain/run/results.ts';
import { contentHash } from '../../domain/sha-256.ts';
import { toolActivityType, type ToolContract } from '../../domain/tool/contract.ts';
import { classifyTool } from '../failures.ts';
import { ASK_PERSON } from '../release/agent-release.ts';
import { findTool } from '../tool/find-tool.ts';
import { isStorable, printable } from './printable.ts';

type ToolCallPart = MessagePart & { readonly kind: 'tool-call' };

/** What is to become of a call: a verdict, or a problem that the model reads as the result. */
export type JudgedCall = {
  /** At most 64 characters: a model may invent a name of any length. */
  readonly tool: string;
  readonly argsHash: string;
  /** The parsed arguments where history may carry them; null where they go by reference. */
  readonly inline: { readonly args: JsonValue } | null;
  readonly outcome: Exclude<CallVerdict, { kind: 'answered' }> | { readonly kind: 'problem'; readonly problem: string };
};

/** The longest name that providers let a tool have. */
const TOOL_NAME_LENGTH_MAX = 64;

/** A day, where this worker's agent does not say how long a person has to answer: long enough for another time zone. */
const DEFAULT_ASK_DEADLINE_MS = 24 * 60 * 60 * 1000;

/**
 * Judges one call of a reply on its full, parsed arguments. It never throws: the reply has been paid for, and a mistake in a schema or a
 * rule must not pay for it again, so the model reads that the call could not be checked.
 *
 * @param index Place of the call in its reply, from 0.
 */
export function judgeCall(agent: Agent | undefined, release: Release, part: ToolCallPart, index: number): JudgedCall {
  const tool = printable(part.toolName, TOOL_NAME_LENGTH_MAX);
  try {
    const { input, outcome } = judgeInput(agent, release, { ...part, toolName: tool }, index);
    return { tool, argsHash: contentHash(input), inline: inlineArguments(input, index), outcome };
  } catch (error) {
    const problem = `The call of ${tool} could not be checked, so it was not made: ${classifyTool(error).message}`;
    return { tool, argsHash: contentHash(part.input), inline: null, outcome: { kind: 'problem', problem } };
  }
}

/** History and state carry the arguments of calls that are made, where they are small and every database takes them. */
function inlineArguments(input: JsonValue, index: number): JudgedCall['inline'] {
  if (index >= LIMITS.callsPerTurnMax) return null;
  const isSmall = utf8Bytes(canonicalJson(input)) <= LIMITS.inlineArgumentBytesMax;
  return isSmall && isStorable(input) ? { args: input } : null;
}

type JudgedInput = { readonly input: JsonValue; readonly outcome: JudgedCall['outcome'] };

function judgeInput(agent: Agent | undefined, release: Release, part: ToolCallPart, index: number): JudgedInput {
  const { toolName, input } = part;
  const refuse = (problem: string): JudgedInput => ({ input, outcome: { kind: 'problem', problem } });
  if (index >= LIMITS.callsPerTurnMax) {
    return refuse(`Only ${LIMITS.callsPerTurnMax} calls are made at once; this one was not. Ask again.`);
  }
  const contract = release.tools.find((candidate) => candidate.name === toolName);
  if (contract === undefined) {
    const known = release.tools.map((candidate) => candidate.name).join(', ');
    return refuse(`There is no tool ${toolName}. The tools are: ${known || 'none'}.`);
  }
  const tool = findTool(agent, toolActivityType(contract));
  if (tool === undefined && asksPerson(contract)) {
    const deadlineMs = agent?.asksPerson?.deadlineMs ?? DEFAULT_ASK_DEADLINE_MS;
    return { input, outcome: { kind: 'ask', deadlineMs } };
  }
  // A pinned tool that this worker does not hold is judged as it came; where it runs it is parsed and judged again.
  const parsed = tool?.parseInput(input) ?? ({ kind: 'ok', input } as const);
  if (parsed.kind === 'invalid') return refuse(`The arguments of ${toolName} are not valid. ${parsed.message}`);
  const call = { tool: toolName, effect: contract.effect, input: parsed.input };
  return { input: parsed.input, outcome: judgeByPolicy(release.approvals, call) };
}

/** The release says whether the tool is the built-in one; this worker's agent may have been changed since. */
function asksPerson({ name, effect }: ToolContract): boolean {
  return name === ASK_PERSON.name && effect === ASK_PERSON.effect;
}
