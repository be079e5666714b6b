import { wordsOf } from './words.ts';

/** A quotation that is longer is no quotation any more; the longest sentences of documents have about 300 characters. */
const PASSAGE_LENGTH_MAX = 400;

/** Between sentences: after an end with its closing marks, before a beginning with its opening marks. */
const BETWEEN_SENTENCES = /(?<=[.!?][*_)”"`]*)\s+(?=[*_(“"`[]*[\p{Lu}\p{N}`])/u;

export type Passage = {
  /** Verbatim but for its line breaks. */
  readonly text: string;
  /** How well it fits: the weight of the words that it has, less for a long passage. */
  readonly score: number;
};

/** Finds the sentence or table row that fits weighted words best; null for a text without any sentence. */
export function bestPassage(text: string, weights: ReadonlyMap<string, number>): Passage | null {
  let best: Passage | null = null;
  for (const passage of passagesOf(text)) {
    const score = fit(passage, weights);
    if (best === null || score > best.score) best = { text: passage, score };
  }
  return best === null ? null : { ...best, text: cut(best.text) };
}

function fit(passage: string, weights: ReadonlyMap<string, number>): number {
  const words = wordsOf(passage);
  const weight = [...new Set(words)].reduce((sum, word) => sum + (weights.get(word) ?? 0), 0);
  // What begins with the word most often says what it is; what ends with a colon only announces.
  const begins = weights.has(words[0] ?? '') ? 1.25 : 1;
  const announces = passage.endsWith(':') ? 0.5 : 1;
  // Of two that say the same, the shorter; twenty words are an ordinary sentence.
  return (weight * begins * announces) / (1 + words.length / 20);
}

/** Takes a text apart into sentences, list items and table rows; blocks of code, headers and rules of tables are left out. */
function passagesOf(text: string): readonly string[] {
  const lines = text.replaceAll(/^ {0,3}(`{3,}|~{3,})[^]*?(?:^ {0,3}\1|(?![^]))/gm, '').split('\n');
  const blocks = [''];
  lines.forEach((line, index) => {
    if (line.startsWith('|')) {
      const isRule = /^\|[\s|:-]+$/.test(line);
      const isHeader = /^\|[\s|:-]+$/.test(lines[index + 1] ?? '');
      if (!isRule && !isHeader) blocks.push(line.replaceAll(/^\||\|\s*$/g, ''), '');
    } else if (line.trim() === '') blocks.push('');
    else if (/^\s*(?:[-*+]|\d+[.)])\s/.test(line)) blocks.push(line.replace(/^\s*(?:[-*+]|\d+[.)])\s+/, ''));
    else blocks.push(`${blocks.pop() ?? ''}\n${line}`);
  });
  return blocks
    .flatMap((block) => (block.includes(' | ') ? [block] : block.split(BETWEEN_SENTENCES)))
    .map((passage) => passage.replaceAll(/\s+/g, ' ').trim())
    .filter((passage) => /\p{L}{2}/u.test(passage));
}

function cut(passage: string): string {
  if (passage.length <= PASSAGE_LENGTH_MAX) return passage;
  return `${passage.slice(0, PASSAGE_LENGTH_MAX).replace(/\s+\S*$/, '')} …`;
}
