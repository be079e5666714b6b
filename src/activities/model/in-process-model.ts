import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
} from '@ai-sdk/provider';
import type { RehearsalView } from '../../authoring/define-agent.ts';
import { canonicalJson, utf8Bytes, type JsonValue } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { Usage } from '../../domain/model/usage.ts';

/** What a model of our own answers. A string as a call's input goes out as it is, JSON or not. */
export type InProcessReply = {
  readonly reasoning?: string;
  readonly text?: string;
  readonly toolCalls?: readonly { readonly tool: string; readonly input: JsonValue; readonly id?: string }[];
  /** Defaults to a fixed count: a token for every four bytes. `null` says nothing about usage, as some providers do. */
  readonly usage?: Usage | null;
  /** Defaults to the proper one. */
  readonly finish?: LanguageModelV4FinishReason['unified'];
};

/** Makes a model that answers inside the worker. It streams like a provider, so that nothing is special about it downstream. */
export function inProcessModel(
  provider: string,
  modelId: string,
  answer: (view: RehearsalView, signal: AbortSignal | undefined) => Promise<InProcessReply>,
): LanguageModelV4 {
  const generate = async (options: LanguageModelV4CallOptions): Promise<LanguageModelV4GenerateResult> => {
    options.abortSignal?.throwIfAborted();
    const view = viewOf(options);
    return toResult(await answer(view, options.abortSignal), view, options);
  };
  return {
    specificationVersion: 'v4',
    provider,
    modelId,
    supportedUrls: {},
    doGenerate: generate,
    doStream: async (options) => ({ stream: ReadableStream.from(streamParts(await generate(options))) }),
  };
}

/** `invokeModel` hands the transcript over as it is under our own name. */
function viewOf(options: LanguageModelV4CallOptions): RehearsalView {
  const parts = options.providerOptions?.['perdure']?.['parts'];
  if (!Array.isArray(parts)) throw new TypeError('A model of Perdure is called through invokeModel only');
  return { parts: parts as readonly MessagePart[], tools: (options.tools ?? []).map((tool) => tool.name) };
}

function toResult(
  reply: InProcessReply,
  view: RehearsalView,
  options: LanguageModelV4CallOptions,
): LanguageModelV4GenerateResult {
  const calls = reply.toolCalls ?? [];
  const before = view.parts.filter((part) => part.kind === 'tool-call').length;
  const content: LanguageModelV4Content[] = [];
  if (reply.reasoning !== undefined) content.push({ type: 'reasoning', text: reply.reasoning });
  if (reply.text !== undefined) content.push({ type: 'text', text: reply.text });
  for (const [index, call] of calls.entries()) {
    const toolCallId = call.id ?? `call_${before + index + 1}`;
    const input = typeof call.input === 'string' ? call.input : JSON.stringify(call.input);
    content.push({ type: 'tool-call', toolCallId, toolName: call.tool, input });
  }
  const usage = reply.usage === undefined ? countedUsage(options, content) : reply.usage;
  return {
    content,
    finishReason: { unified: reply.finish ?? (calls.length > 0 ? 'tool-calls' : 'stop'), raw: undefined },
    usage: {
      inputTokens: {
        total: usage?.inputTokens,
        noCache: undefined,
        cacheRead: usage?.cacheReadTokens,
        cacheWrite: usage?.cacheWriteTokens,
      },
      outputTokens: { total: usage?.outputTokens, text: undefined, reasoning: usage?.reasoningTokens },
    },
    warnings: [],
  };
}

/** Four bytes a token is what English prose comes to; the count only has to be the same every time. */
function countedUsage(options: LanguageModelV4CallOptions, content: readonly LanguageModelV4Content[]): Usage {
  return {
    inputTokens: countTokens(options.prompt) + countTokens(options.tools ?? []),
    outputTokens: countTokens(content),
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  };
}

function countTokens(value: unknown): number {
  return Math.ceil(utf8Bytes(canonicalJson(value)) / 4);
}

function* streamParts(result: LanguageModelV4GenerateResult): Generator<LanguageModelV4StreamPart> {
  yield { type: 'stream-start', warnings: [] };
  for (const [index, content] of result.content.entries()) {
    const id = String(index);
    if (content.type === 'text' || content.type === 'reasoning') {
      yield { type: `${content.type}-start`, id };
      yield { type: `${content.type}-delta`, id, delta: content.text };
      yield { type: `${content.type}-end`, id };
    } else if (content.type === 'tool-call') yield content;
  }
  yield { type: 'finish', finishReason: result.finishReason, usage: result.usage };
}
