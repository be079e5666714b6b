import type { JsonObject, JsonValue } from '../json.ts';
import type { AttachmentType } from './attachment.ts';

/** Opaque data that a provider wants back with the part, such as the signature of a reasoning block. */
export type ProviderMetadata = { readonly [provider: string]: JsonObject };

/**
 * One immutable part of a transcript; a segment holds the bytes of one part.
 * `guidance` is what a person or a check of ours tells the agent between turns: the model reads it as the user's words.
 */
export type MessagePart =
  | { readonly kind: 'user-text'; readonly text: string }
  /** `isClosing`: it asks for the run's closing answer, and is nothing for a run that takes this one up. */
  | { readonly kind: 'guidance'; readonly text: string; readonly isClosing?: true }
  | {
      /** A file of the user's, in base64. Where only its description is wanted, `data` is empty. */
      readonly kind: 'file';
      readonly mediaType: AttachmentType;
      readonly name: string;
      readonly bytes: number;
      readonly data: string;
    }
  | {
      readonly kind: 'assistant-text';
      readonly text: string;
      readonly metadata?: ProviderMetadata;
      readonly writtenBy?: string;
    }
  | {
      readonly kind: 'reasoning';
      readonly text: string;
      readonly metadata?: ProviderMetadata;
      readonly writtenBy?: string;
    }
  | {
      readonly kind: 'tool-call';
      readonly toolCallId: string;
      readonly toolName: string;
      readonly input: JsonValue;
      readonly metadata?: ProviderMetadata;
      /** Provider of the model that wrote the part, where it matters: only it can read the metadata and reasoning of its own. */
      readonly writtenBy?: string;
    }
  | {
      readonly kind: 'tool-result';
      readonly toolCallId: string;
      readonly toolName: string;
      readonly isError: boolean;
      readonly output: JsonValue;
    }
  /** Stands for the turns that it names, first and last; the model reads the text as the user's words. */
  | {
      readonly kind: 'summary';
      readonly text: string;
      readonly turns: { readonly from: number; readonly to: number };
    }
  /** Passages of replaced turns that fit what was just said, word for word. `passages` names them, so that none is recalled twice. */
  | { readonly kind: 'recalled'; readonly text: string; readonly passages: readonly string[] };
