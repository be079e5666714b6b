import {
  APICallError,
  InvalidResponseDataError,
  JSONParseError,
  type LanguageModelV4FinishReason,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
  TypeValidationError,
} from '@ai-sdk/provider';
import { type Listen, TEXT_SEPARATOR } from '../../domain/stream/stream.ts';
import { ModelReplyError, ModelStreamError, type ProviderContext } from './model-errors.ts';
import { errorInBody, isRefusal } from './provider-report.ts';
import { watchWholeness } from './wholeness.ts';

/** One block of a reply, in the order in which the blocks began. */
export type ReplyBlock =
  | { readonly kind: 'text' | 'reasoning'; text: string; metadata: unknown }
  | {
      readonly kind: 'tool-call';
      readonly id: string;
      readonly name: string;
      readonly input: string;
      readonly metadata: unknown;
    };

export type RawReply = {
  readonly blocks: readonly ReplyBlock[];
  readonly finish: { readonly reason: FinishReason; readonly usage: LanguageModelV4Usage };
  readonly modelId: string | null;
  readonly responseId: string | null;
};

type FinishReason = LanguageModelV4FinishReason['unified'] | 'context-full';

/** Sixteen million characters: above what any model writes in one reply, below what a worker's memory minds. */
const REPLY_LENGTH_MAX = 16_000_000;

/**
 * Reads a reply to its end and puts its blocks together.
 *
 * @throws ModelStreamError for an error that the provider wrote into the stream, even when it went on after it.
 * @throws ModelReplyError when the stream ends without a finish, or is larger than a reply can be.
 */
export async function readReply(
  stream: ReadableStream<LanguageModelV4StreamPart>,
  provider: ProviderContext,
  asked: unknown,
  listen?: Listen,
): Promise<RawReply> {
  const draft: Draft = { blocks: [], open: new Map() };
  const wholeness = watchWholeness();
  let length = 0;
  let refused = false;
  let chunk: unknown = null;
  let finish: RawReply['finish'] | null = null;
  let modelId: string | null = null;
  let responseId: string | null = null;
  for await (const part of stream) {
    wholeness.note(part);
    if (part.type === 'raw') {
      chunk = part.rawValue;
      refuseError(chunk, asked);
      if (isRefusal(chunk)) refused = true;
    }
    if (part.type === 'error' && !isNewEvent(part.error, chunk)) throw streamError(part.error, provider, asked);
    if (part.type === 'finish') finish = { reason: reasonOf(part.finishReason), usage: part.usage };
    else if (part.type === 'response-metadata') {
      // Two replies in one stream: nobody can tell which words belong together.
      if (responseId && part.id && part.id !== responseId) throw new ModelReplyError('other', provider, null);
      modelId = part.modelId ?? modelId;
      responseId = part.id ?? responseId;
    } else {
      if (listen !== undefined) tellDelta(draft, part, listen);
      length += addPart(draft, part);
    }
    if (length > REPLY_LENGTH_MAX) throw new ModelReplyError('too-large', provider, null);
  }
  // What a reply without an end says of its usage is not the whole of it.
  if (finish === null || finish.reason === 'interrupted' || !wholeness.isWhole()) {
    throw new ModelReplyError('interrupted', provider, null);
  }
  const isRefused = refused && !draft.blocks.some(({ kind }) => kind === 'tool-call');
  return {
    blocks: draft.blocks,
    finish: isRefused ? { ...finish, reason: 'content-filter' } : finish,
    modelId,
    responseId,
  };
}

/** A turn that a provider only pauses has more to come. A reason that nobody named means that the end did not come. */
function reasonOf({ unified, raw }: LanguageModelV4FinishReason): FinishReason {
  if (raw === 'pause_turn') return 'other';
  if (raw === 'model_context_window_exceeded') return 'context-full';
  return unified === 'other' && raw === undefined ? 'interrupted' : unified;
}

type TextBlock = Extract<ReplyBlock, { kind: 'text' | 'reasoning' }>;

/** The blocks so far, and the text blocks that still grow. */
type Draft = { readonly blocks: ReplyBlock[]; readonly open: Map<string, TextBlock> };

/** Tells a delta on. Texts of one reply are apart as they are in the whole text. */
function tellDelta({ blocks, open }: Draft, part: LanguageModelV4StreamPart, listen: Listen): void {
  if ((part.type !== 'text-delta' && part.type !== 'reasoning-delta') || part.delta === '') return;
  const kind = part.type === 'text-delta' ? 'text' : 'reasoning';
  const block = open.get(`${kind} ${part.id}`);
  const isNext =
    (block === undefined || block.text === '') && blocks.some((each) => each.kind === kind && each.text !== '');
  listen({ kind, text: isNext ? TEXT_SEPARATOR + part.delta : part.delta });
}

/** Adds what a stream part brings and counts its characters. Parts of kinds that no transcript has are left out. */
function addPart(draft: Draft, part: LanguageModelV4StreamPart): number {
  if (part.type === 'text-start' || part.type === 'text-delta' || part.type === 'text-end')
    return extend(draft, 'text', part);
  if (part.type === 'reasoning-start' || part.type === 'reasoning-delta' || part.type === 'reasoning-end') {
    return extend(draft, 'reasoning', part);
  }
  // What the provider ran itself is no call of ours.
  if (part.type !== 'tool-call' || part.providerExecuted === true) return 0;
  const { toolCallId, toolName, input, providerMetadata } = part;
  draft.blocks.push({ kind: 'tool-call', id: toolCallId, name: toolName, input, metadata: providerMetadata });
  return input.length;
}

/** Blocks of one kind may share an id one after the other: a start always opens a new block. */
function extend(
  draft: Draft,
  kind: 'text' | 'reasoning',
  part: { readonly type: string; readonly id: string; readonly delta?: string; readonly providerMetadata?: unknown },
): number {
  const key = `${kind} ${part.id}`;
  let block = draft.open.get(key);
  if (block === undefined || part.type.endsWith('-start')) {
    block = { kind, text: '', metadata: undefined };
    draft.blocks.push(block);
    draft.open.set(key, block);
  }
  block.text += part.delta ?? '';
  block.metadata = part.providerMetadata ?? block.metadata;
  return part.delta?.length ?? 0;
}

/** @throws ModelStreamError for an error, in whatever form a provider writes it into its reply. */
function refuseError(chunk: unknown, asked: unknown): void {
  const error = errorInBody(chunk);
  if (error !== null) throw new ModelStreamError(error, asked);
}

/**
 * Providers add kinds of events and ask not to mind them; Anthropic's package takes one for an error. Events that hold words must be known. An
 * event without anything only keeps the connection open.
 */
function isNewEvent(error: unknown, chunk: unknown): boolean {
  if (JSONParseError.isInstance(error)) return error.text.trim() === '';
  const { type } = (chunk ?? {}) as { readonly type?: unknown };
  if (!TypeValidationError.isInstance(error) || typeof type !== 'string') return false;
  return !HOLDS_WORDS.test(type);
}

/** Kinds of events that hold words, calls, or their end. */
const HOLDS_WORDS =
  /^(?:message_|content_block_|response\.(?:created|in_progress|completed|done|failed|incomplete|output_|content_part|refusal|function_call|reasoning)|error$)/;

/** The SDK reports a missing finish reason, and text that is no event, as errors of its own: both mean a reply without an end. */
function streamError(error: unknown, provider: ProviderContext, asked: unknown): Error {
  if (InvalidResponseDataError.isInstance(error)) return new ModelReplyError('interrupted', provider, null);
  if (APICallError.isInstance(error) && (error.statusCode ?? 0) >= 400) {
    return new ModelStreamError({ code: error.statusCode, message: error.message }, asked);
  }
  return error instanceof Error ? error : new ModelStreamError(error, asked);
}
