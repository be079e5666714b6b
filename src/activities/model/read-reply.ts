import {
  InvalidResponseDataError,
  type LanguageModelV4FinishReason,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
} from '@ai-sdk/provider';
import { ModelReplyError, ModelStreamError, type ProviderContext } from './model-errors.ts';

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
  readonly finish: { readonly reason: LanguageModelV4FinishReason['unified']; readonly usage: LanguageModelV4Usage };
  readonly modelId: string | null;
  readonly responseId: string | null;
};

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
): Promise<RawReply> {
  const draft: Draft = { blocks: [], open: new Map() };
  let length = 0;
  let finish: RawReply['finish'] | null = null;
  let modelId: string | null = null;
  let responseId: string | null = null;
  for await (const part of stream) {
    if (part.type === 'error') throw streamError(part.error, provider, asked);
    if (part.type === 'finish') finish = { reason: part.finishReason.unified, usage: part.usage };
    else if (part.type === 'response-metadata') {
      modelId = part.modelId ?? modelId;
      responseId = part.id ?? responseId;
    } else length += addPart(draft, part);
    if (length > REPLY_LENGTH_MAX) throw new ModelReplyError('too-large', provider, null);
  }
  if (finish === null) throw new ModelReplyError('interrupted', provider, null);
  return { blocks: draft.blocks, finish, modelId, responseId };
}

type TextBlock = Extract<ReplyBlock, { kind: 'text' | 'reasoning' }>;

/** The blocks so far, and the text blocks that still grow. */
type Draft = { readonly blocks: ReplyBlock[]; readonly open: Map<string, TextBlock> };

/** Adds what a stream part brings and counts its characters. Parts of kinds that no transcript has are left out. */
function addPart(draft: Draft, part: LanguageModelV4StreamPart): number {
  if (part.type === 'text-start' || part.type === 'text-delta' || part.type === 'text-end')
    return extend(draft, 'text', part);
  if (part.type === 'reasoning-start' || part.type === 'reasoning-delta' || part.type === 'reasoning-end') {
    return extend(draft, 'reasoning', part);
  }
  if (part.type !== 'tool-call') return 0;
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

/** The SDK reports a missing finish reason, and text that is no event, as errors of its own: both mean a reply without an end. */
function streamError(error: unknown, provider: ProviderContext, asked: unknown): Error {
  if (InvalidResponseDataError.isInstance(error)) return new ModelReplyError('interrupted', provider, null);
  return error instanceof Error ? error : new ModelStreamError(error, asked);
}
