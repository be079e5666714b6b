import { canonicalJson, type JsonValue } from '../json.ts';
import type { MessagePart } from '../model/message-part.ts';
import { type ChainNode, turnsOf } from './chain.ts';

/** Who said what, in which turn. */
export type Utterance = {
  readonly turn: number;
  /** Address of the segment. */
  readonly ref: string;
  readonly speaker: string;
  readonly text: string;
};

/**
 * Lists what was said in a stretch of a transcript that begins where the transcript or a summary does. What a model thought, a summary and
 * what was only recalled are left out: nobody said them.
 */
export function utterancesOf(nodes: readonly ChainNode[]): readonly Utterance[] {
  const turns = turnsOf(nodes);
  return nodes.flatMap(({ segments }, index) =>
    segments.flatMap(({ ref, part }) => {
      const said = wordsOf(part);
      return said === null ? [] : [{ turn: turns[index] ?? 0, ref, ...said }];
    }),
  );
}

/** Writes an utterance as a line of a transcript. */
export function formatUtterance({ turn, speaker, text }: Pick<Utterance, 'turn' | 'speaker' | 'text'>): string {
  return `[turn ${turn}, ${speaker}] ${text}`;
}

function wordsOf(part: MessagePart): { readonly speaker: string; readonly text: string } | null {
  switch (part.kind) {
    case 'user-text':
      return { speaker: 'user', text: part.text };
    case 'guidance':
      return { speaker: 'operator', text: part.text };
    case 'assistant-text':
      return { speaker: 'agent', text: part.text };
    case 'tool-call':
      return { speaker: `call of ${part.toolName}`, text: textOf(part.input) };
    case 'tool-result':
      return { speaker: `${part.isError ? 'error' : 'result'} of ${part.toolName}`, text: textOf(part.output) };
    case 'file':
      return { speaker: 'user', text: `[file ${part.name}, ${part.mediaType}]` };
    case 'reasoning':
    case 'summary':
    case 'recalled':
      return null;
  }
}

function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : canonicalJson(value);
}
