import { utf8Bytes } from '../json.ts';
import type { Utterance } from './utterances.ts';

/** A piece of what was said, short enough to be repeated in a prompt. */
export type Passage = {
  /** Names the piece: the address of its segment and its number in it. */
  readonly id: string;
  readonly turn: number;
  readonly speaker: string;
  readonly text: string;
};

/** Bytes of one passage: a paragraph. */
export const PASSAGE_BYTES_MAX = 800;

/** Takes utterances apart into passages. Together they have every byte of the text but the space where it was cut. */
export function passagesOf(utterances: readonly Utterance[]): readonly Passage[] {
  return utterances.flatMap(({ ref, turn, speaker, text }) =>
    cutText(text, PASSAGE_BYTES_MAX).map((piece, index) => ({
      id: index === 0 ? ref : `${ref}#${index}`,
      turn,
      speaker,
      text: piece,
    })),
  );
}

/** Cuts a text into pieces of at most so many bytes: at the end of a line, a sentence or a word where there is one. */
export function cutText(text: string, bytesMax: number): readonly string[] {
  const pieces: string[] = [];
  let rest = text.trim();
  while (rest !== '') {
    const fitting = startOf(rest, bytesMax);
    const at = fitting.length === rest.length ? rest.length : lastBreak(fitting);
    pieces.push(rest.slice(0, at).trim());
    rest = rest.slice(at).trim();
  }
  return pieces;
}

/** Takes the longest start of a text that has at most so many bytes; never splits a character. */
export function startOf(text: string, bytesMax: number): string {
  let bytes = 0;
  let length = 0;
  for (const character of text) {
    bytes += utf8Bytes(character);
    if (bytes > bytesMax) break;
    length += character.length;
  }
  return text.slice(0, length);
}

/** A break in the second half of the text, else its end. */
function lastBreak(text: string): number {
  const half = text.length / 2;
  for (const mark of ['\n', '. ', ' ']) {
    const at = text.lastIndexOf(mark);
    if (at > half) return at + mark.length;
  }
  return Math.max(1, text.length);
}
