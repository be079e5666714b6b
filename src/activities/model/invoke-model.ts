import type { LanguageModelV4, LanguageModelV4CallOptions } from '@ai-sdk/provider';
import { canonicalJson, utf8Bytes, type JsonValue } from '../../domain/json.ts';
import { withoutData } from '../../domain/model/attachment.ts';
import type { MessagePart, ProviderMetadata } from '../../domain/model/message-part.ts';
import type { ModelPrice } from '../../domain/model/price.ts';
import type { Usage } from '../../domain/model/usage.ts';
import type { Listen } from '../../domain/stream/stream.ts';
import type { Wire } from '../../domain/model/wire.ts';
import type { ToolContract } from '../../domain/tool/contract.ts';
import { ModelCallError, ModelReplyError, ModelUnavailable, type ReplyProblem } from './model-errors.ts';
import { normaliseUsage } from './normalise-usage.ts';
import { type CallSettings, partsFor, settingOptions } from './call-settings.ts';
import { type PromptCacheRequest, withHours, withPromptCache } from './prompt-cache.ts';
import { buildPrompt, buildTools } from './prompt.ts';
import { readReply, type RawReply, type ReplyBlock } from './read-reply.ts';
import { spellForWire, type WireNames } from './wire-names.ts';

/** A model that this worker can call. */
export type ResolvedModel = {
  readonly model: LanguageModelV4;
  /** `provider:model`. */
  readonly id: string;
  /** What is before the colon. */
  readonly provider: string;
  /** A stable name for the account that a call draws on: provider and a hash of key and address, never the key. */
  readonly credential: string;
  readonly wire: Wire;
  /** Environment variable that holds the key; null where none is needed. */
  readonly keyName: string | null;
  /** Null when nobody knows it: under a money cap such a model must be refused. */
  readonly price: ModelPrice | null;
  /** Host and port that are called, where the configuration names them: what fails there says nothing of the same model elsewhere. */
  readonly server?: string;
  /** Plays inside the worker: nothing leaves it and nothing is charged. A recording of a provider does, and speaks its wire. */
  readonly simulated: boolean;
};

export type ModelRequest = {
  readonly instructions: string;
  readonly parts: readonly MessagePart[];
  readonly tools: readonly ToolContract[];
  /** Tokens the model may write, reasoning included. */
  readonly outputTokensMax: number;
  readonly temperature?: number;
  /** How it is to be answered, besides. */
  readonly settings?: CallSettings;
  /** The reply may only be an answer: tools are described as before, so that the prefix is the cached one, and none can be called. It may be cut. */
  readonly answersOnly?: true;
  /** The most tokens that the files among the parts can cost. */
  readonly fileTokensMax?: number;
  /** Our name for the call, sent as `x-client-request-id`, so that the provider's log can be asked about it. */
  readonly requestId?: string;
  /** Absent where nothing of the prompt will be sent again. */
  readonly cache?: PromptCacheRequest;
};

export type ModelReply = {
  /** Kinds `assistant-text`, `reasoning` and `tool-call`, in the order in which they began. Call ids are unique in the transcript. */
  readonly parts: readonly MessagePart[];
  readonly usage: Usage;
  /** Set when the provider said no usage: `usage` is then the most that the call can have used. */
  readonly usageEstimated: boolean;
  readonly stopReason: 'stop' | 'tool-calls';
  /** The model as the provider names it, often with its date. */
  readonly modelId: string;
  /** The provider's name for the call. */
  readonly requestId: string | null;
};

/** Wires on which the provider itself sees to it that arguments are JSON: what is none there has lost a piece. */
const WRITES_JSON: readonly Wire[] = ['anthropic', 'bedrock'];

/** Ends at a limit. A last answer may have one. */
const CUT: readonly RawReply['finish']['reason'][] = ['length', 'context-full'];

/** Levels of a call's arguments. People nest a handful; ten thousand end the stack of whatever hashes or writes them. */
const ARGUMENTS_DEPTH_MAX = 100;

/**
 * Calls a model once, without retries, and returns only a whole reply.
 *
 * Streams are read even though the reply is used as a whole: a stream says with its finish reason that it is complete, and one
 * that ends cleanly in the middle has none, while a body that is cut where a proxy buffers it can pass for a short answer.
 *
 * @param listen Hears what the model says while it says it.
 * @throws ModelReplyError when the reply cannot be used; it has the usage that the provider named.
 * @throws ModelUnavailable when the key or the model is missing.
 * @throws ModelCallError for every other failure, with the provider's error as its cause.
 * @throws The signal's reason when the call was cancelled.
 */
export async function invokeModel(
  resolved: ResolvedModel,
  request: ModelRequest,
  signal: AbortSignal,
  listen?: Listen,
): Promise<ModelReply> {
  const { model } = resolved;
  const names = spellForWire(resolved.wire, { ...request, parts: partsFor(resolved.provider, request.parts) });
  try {
    const { stream, response } = await model.doStream(
      withPromptCache(callOptions(resolved, request, names, signal), resolved, request.cache),
    );
    const raw = await readReply(stream, resolved, [request.instructions, request.parts], listen);
    const counted = normaliseUsage(resolved.wire, raw.finish.usage, resolved.provider);
    const usage = withHours(counted, raw.finish.usage.raw, request.cache);
    const blocks = request.answersOnly === true ? raw.blocks.filter(({ kind }) => kind !== 'tool-call') : raw.blocks;
    const isCut = request.answersOnly === true && CUT.includes(raw.finish.reason);
    const finish = isCut ? { ...raw.finish, reason: 'stop' as const } : raw.finish;
    const stopReason = stopReasonOf({ ...raw, blocks, finish }, resolved, usage);
    if (WRITES_JSON.includes(resolved.wire) && !blocks.every(isJson)) {
      throw new ModelReplyError('interrupted', resolved, null);
    }
    return {
      parts: toParts(blocks, request.parts, names),
      usage: usage ?? usageBound(request),
      usageEstimated: usage === null,
      stopReason,
      modelId: raw.modelId ?? model.modelId,
      requestId: requestIdOf(response?.headers ?? {}) ?? raw.responseId,
    };
  } catch (error) {
    if (signal.aborted && !isTimeout(signal.reason)) throw signal.reason;
    if (error instanceof ModelReplyError || error instanceof ModelUnavailable) throw error;
    throw new ModelCallError({ id: resolved.id, keyName: resolved.keyName }, error);
  }
}

/** The most tokens that a call can use: a token is at least one UTF-8 byte, and the JSON around the words weighs more than a provider's own marks. */
export function usageBound(request: ModelRequest): Usage {
  const prompt = buildPrompt(request.instructions, request.parts.map(withoutData));
  const wordTokens = utf8Bytes(canonicalJson(prompt)) + utf8Bytes(canonicalJson(buildTools(request.tools)));
  return {
    inputTokens: wordTokens + (request.fileTokensMax ?? 0),
    outputTokens: request.outputTokensMax,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  };
}

function callOptions(
  resolved: ResolvedModel,
  request: ModelRequest,
  names: WireNames,
  signal: AbortSignal,
): LanguageModelV4CallOptions {
  // Models of our own see what files there are, and not what is in them. They take any name.
  const isOwn = resolved.wire === 'simulated';
  const { parts, tools } = isOwn ? { ...request, parts: request.parts.map(withoutData) } : names;
  return {
    prompt: buildPrompt(request.instructions, parts),
    maxOutputTokens: request.outputTokensMax,
    abortSignal: signal,
    // Errors inside a reply are found in the provider's own words: not every package knows them.
    ...(isOwn ? {} : { includeRawChunks: true }),
    ...settingOptions(request.settings ?? {}, {
      id: `${resolved.provider}:${resolved.model.modelId}`,
      wire: resolved.wire,
      sdkProvider: resolved.model.provider,
      hasTools: tools.length > 0,
    }),
    ...(tools.length === 0 ? {} : { tools: buildTools(tools) }),
    // Bedrock has no such word: its package would leave out the tools instead, and with them every call and result of the prompt.
    ...(tools.length > 0 && request.answersOnly === true && resolved.wire !== 'bedrock'
      ? { toolChoice: { type: 'none' as const } }
      : {}),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.requestId === undefined ? {} : { headers: { 'x-client-request-id': request.requestId } }),
    // Models of our own play on the transcript itself; other providers never see it in this form.
    ...(resolved.wire === 'simulated' ? { providerOptions: { perdure: { parts } } } : {}),
  };
}

/** @throws ModelReplyError unless the reply has a proper end and something in it. */
function stopReasonOf(raw: RawReply, resolved: ResolvedModel, usage: Usage | null): 'stop' | 'tool-calls' {
  const refuse = (problem: ReplyProblem): never => {
    throw new ModelReplyError(problem, { id: resolved.id, keyName: resolved.keyName }, usage);
  };
  const callsTools = raw.blocks.some((block) => block.kind === 'tool-call');
  switch (raw.finish.reason) {
    case 'stop':
    case 'tool-calls':
      // Some servers end with `stop` after tool calls; what counts is what is there.
      if (callsTools) return 'tool-calls';
      return raw.blocks.some(hasWords) ? 'stop' : refuse('empty');
    case 'length':
    case 'context-full':
    case 'content-filter':
    case 'interrupted':
      return refuse(raw.finish.reason);
    case 'error':
    case 'other':
      return refuse('other');
  }
}

function hasWords(block: ReplyBlock): boolean {
  return block.kind === 'text' && block.text.trim() !== '';
}

function requestIdOf(headers: Readonly<Record<string, string>>): string | null {
  return headers['x-request-id'] ?? headers['request-id'] ?? headers['x-amzn-requestid'] ?? null;
}

function toParts(
  blocks: readonly ReplyBlock[],
  transcript: readonly MessagePart[],
  { toolNamed }: WireNames,
): MessagePart[] {
  const taken = new Set(transcript.flatMap((part) => (part.kind === 'tool-call' ? [part.toolCallId] : [])));
  return blocks.flatMap((block): MessagePart[] => {
    const metadata = block.metadata === undefined ? {} : { metadata: block.metadata as ProviderMetadata };
    if (block.kind === 'tool-call') {
      const toolCallId = freeId(block.id, taken);
      const toolName = toolNamed(block.name);
      return [{ kind: 'tool-call', toolCallId, toolName, input: parseArguments(block.input), ...metadata }];
    }
    // Reasoning may be nothing but what the provider wants back: a signature, or words that it has encrypted.
    const isWanted = block.kind === 'reasoning' && block.metadata !== undefined;
    if (block.text === '' && !isWanted) return [];
    return [{ kind: block.kind === 'text' ? 'assistant-text' : 'reasoning', text: block.text, ...metadata }];
  });
}

/** Providers repeat ids or leave them out; results are paired with calls by id, so each call gets one of its own. */
function freeId(id: string, taken: Set<string>): string {
  let free = id;
  for (let n = taken.size + 1; free.trim() === '' || taken.has(free); n += 1) free = `call_${n}`;
  taken.add(free);
  return free;
}

/**
 * Arguments that are not JSON, or that nothing of ours could write again, stay as the model wrote them, and the tool's schema tells it so.
 * Nothing at all means no arguments.
 */
function parseArguments(input: string): JsonValue {
  if (input.trim() === '') return {};
  try {
    const parsed = JSON.parse(input) as JsonValue;
    return canBeWritten(parsed) ? parsed : input;
  } catch {
    return input;
  }
}

function isJson(block: ReplyBlock): boolean {
  if (block.kind !== 'tool-call' || block.input.trim() === '') return true;
  try {
    JSON.parse(block.input);
    return true;
  } catch {
    return false;
  }
}

/** Numbers as 1e999 are none once they are read. Depth is looked for level by level: a function that calls itself would not return. */
function canBeWritten(value: JsonValue): boolean {
  let level: JsonValue[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > ARGUMENTS_DEPTH_MAX) return false;
    if (level.some((item) => typeof item === 'number' && !Number.isFinite(item))) return false;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values<JsonValue>(item) : []));
  }
  return true;
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError';
}
