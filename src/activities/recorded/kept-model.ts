import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4StreamPart,
} from '@ai-sdk/provider';
import type { JsonValue } from '../../domain/json.ts';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { ModelReplyError, type ReplyProblem, ScriptError } from '../model/model-errors.ts';
import type { CountPlayed, RecordedModel, Taken } from './player.ts';
import { unmask } from './play-fetch.ts';
import type { Kept } from './recording.ts';
import { callOf, REQUEST_ID_HEADER } from './run-position.ts';

/** Plays the calls of a run as its transcript and its rows have them: replies whole, failures by their cause and by what became of the money. */
export function keptModel(recorded: RecordedModel, modelId: string, countPlayed?: CountPlayed): LanguageModelV4 {
  const stream = async (options: LanguageModelV4CallOptions) => {
    options.abortSignal?.throwIfAborted();
    const at = callOf(options.headers?.[REQUEST_ID_HEADER] ?? null);
    if (at === null) throw new ScriptError('A recording is played by runs only');
    const played = await countPlayed?.(at.run);
    const { exchange, valueOf } = recorded.take(at, modelId, { body: askedIn(options), place: null }, played);
    if (exchange.kind !== 'kept') throw new ScriptError('This recording was made on the wire');
    const { kept } = exchange;
    if (kept.reply === null) throw failureOf(kept, modelId);
    return { stream: ReadableStream.from(streamParts(kept, valueOf)) };
  };
  return {
    specificationVersion: 'v4',
    provider: 'recorded',
    modelId,
    supportedUrls: {},
    doGenerate: async () => {
      throw new ScriptError('A recording is played as a stream');
    },
    doStream: stream,
  };
}

/** What is asked, in the words of the transcript. */
function askedIn({ prompt, tools = [], providerOptions }: LanguageModelV4CallOptions): JsonValue {
  const instructions = prompt.flatMap((message) => (message.role === 'system' ? [message.content] : [])).join('\n\n');
  const parts = providerOptions?.['perdure']?.['parts'] ?? [];
  const described = tools.map((tool) =>
    tool.type === 'function'
      ? { name: tool.name, description: tool.description, inputSchema: tool.inputSchema }
      : { name: tool.name },
  );
  return JSON.parse(JSON.stringify({ instructions, parts, tools: described })) as JsonValue;
}

function* streamParts(
  { reply, usage, modelId }: Kept,
  valueOf: Taken['valueOf'],
): Generator<LanguageModelV4StreamPart> {
  const parts = JSON.parse(unmask(JSON.stringify(reply), valueOf)) as readonly MessagePart[];
  yield { type: 'stream-start', warnings: [] };
  if (modelId !== null) yield { type: 'response-metadata', modelId };
  for (const [index, part] of parts.entries()) {
    const id = String(index);
    const metadata =
      'metadata' in part && part.metadata !== undefined ? { providerMetadata: part.metadata as never } : {};
    if (part.kind === 'assistant-text' || part.kind === 'reasoning') {
      const kind = part.kind === 'reasoning' ? 'reasoning' : 'text';
      yield { type: `${kind}-start`, id };
      yield { type: `${kind}-delta`, id, delta: part.text, ...metadata };
      yield { type: `${kind}-end`, id };
    } else if (part.kind === 'tool-call') {
      const { toolCallId, toolName, input } = part;
      yield {
        type: 'tool-call',
        toolCallId,
        toolName,
        input: typeof input === 'string' ? input : JSON.stringify(input),
        ...metadata,
      };
    }
  }
  const callsTools = parts.some(({ kind }) => kind === 'tool-call');
  yield {
    type: 'finish',
    finishReason: { unified: callsTools ? 'tool-calls' : 'stop', raw: undefined },
    usage: {
      inputTokens: {
        total: usage?.inputTokens,
        noCache: undefined,
        cacheRead: usage?.cacheReadTokens,
        cacheWrite: usage?.cacheWriteTokens,
      },
      outputTokens: { total: usage?.outputTokens, text: undefined, reasoning: usage?.reasoningTokens },
    },
  };
}

/** What the classifier says of a reply that could not be used, and why that was. */
const PROBLEMS: readonly (readonly [RegExp, ReplyProblem])[] = [
  [/cut at outputTokensMax/, 'length'],
  [/neither text nor tool calls/, 'empty'],
  [/without a proper stop reason/, 'other'],
  [/larger than a reply can be/, 'too-large'],
  [/stopped its reply for its content/, 'content-filter'],
  [/ended where the model's context is full/, 'context-full'],
];

/** Statuses that mean the cause again when they are classified. */
const STATUSES: Readonly<Record<string, number>> = {
  'model-authentication': 401,
  'model-quota': 402,
  'model-rate-limited': 429,
  validation: 400,
};

/** Makes an error that is classified as the failure was, and leaves as much money settled, held or free. */
function failureOf({ failure, usage }: Kept, modelId: string): Error {
  const { cause = 'model-error', message = '', charge = 'held' } = failure ?? {};
  const problem = PROBLEMS.find(([words]) => words.test(message))?.[1];
  if (charge === 'settled' || problem !== undefined) {
    return new ModelReplyError(problem ?? 'interrupted', { id: modelId, keyName: null }, usage);
  }
  const statusCode = STATUSES[cause] ?? (charge === 'released' ? 503 : null);
  if (statusCode !== null) {
    const code = /cannot hold a prompt of this length/.test(message) ? { code: 'context_length_exceeded' } : {};
    const responseBody = JSON.stringify({ error: { ...code, message: 'as recorded' } });
    return new APICallError({
      message: 'as recorded',
      url: 'recorded:',
      requestBodyValues: {},
      statusCode,
      responseBody,
    });
  }
  return Object.assign(new Error('as recorded'), { code: 'ECONNRESET' });
}
