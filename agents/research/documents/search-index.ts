import { bestPassage } from './passages.ts';
import type { Document, Section } from './sections.ts';
import { wordsOf } from './words.ts';

/** Sections with the words in them, for ranking by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009). */
export type SearchIndex = {
  readonly entries: readonly Entry[];
  /** In how many sections each word stands. */
  readonly sectionsWith: ReadonlyMap<string, number>;
  readonly averageLength: number;
};

export type Entry = {
  readonly document: Document;
  readonly section: Section;
  /** How often each word stands in the section; words of headings count more. */
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
};

export type Hit = {
  readonly document: Document;
  readonly section: Section;
  /** Which part of what was asked the section has, from 0 to 1; rare words weigh more, and words that no document has weigh most. */
  readonly coverage: number;
  /** The sentence or table row that fits best; empty when the section has no text of its own. */
  readonly snippet: string;
};

/** The usual values of BM25: how soon repeating a word stops to help, and how much a long section is discounted. */
const SATURATION = 1.2;
const LENGTH_DISCOUNT = 0.75;
/** A heading says what the section is about; the document's title says it of each of its sections. */
const HEADING_WEIGHT = 3;
const TITLE_WEIGHT = 1;
/** So many sections per hit are looked at sentence by sentence. */
const CANDIDATES_PER_HIT = 4;
/** What a section without a fitting sentence keeps of its score, beside at most about 1 for one that says it all in a few words. */
const PASSAGE_BASE = 0.25;

/** Counts the words of every section of a document. */
export function entriesOf(document: Document): readonly Entry[] {
  return document.sections.map((section) => entryOf(document, section));
}

/** Makes an index of the sections of all documents. */
export function buildIndex(entries: readonly Entry[]): SearchIndex {
  const sectionsWith = new Map<string, number>();
  for (const { counts } of entries) for (const word of counts.keys()) add(sectionsWith, word, 1);
  const length = sum(entries.map((entry) => entry.length));
  return { entries, sectionsWith, averageLength: Math.max(1, length / Math.max(1, entries.length)) };
}

/**
 * Finds the sections that fit a question, best first; of equals, the first in the order of paths. The score counts by the coverage, so
 * that a section with one word many times does not go before one that has them all, and by how well its best sentence fits.
 */
export function searchIndex(index: SearchIndex, query: string, hitsMax: number): readonly Hit[] {
  const weights = new Map([...new Set(wordsOf(query))].map((word) => [word, rarity(index, word)] as const));
  const whole = sum([...weights.values()]);
  return index.entries
    .map((entry) => {
      const coverage = sum([...weights].map(([word, weight]) => (entry.counts.has(word) ? weight : 0))) / whole;
      return { entry, coverage, score: scoreOf(index, entry, weights) * coverage };
    })
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score)
    .slice(0, hitsMax * CANDIDATES_PER_HIT)
    .map(({ entry: { document, section }, coverage, score }) => {
      const passage = bestPassage(section.parts.join(''), weights);
      const rank = score * (PASSAGE_BASE + (passage?.score ?? 0) / whole);
      return { hit: { document, section, coverage, snippet: passage?.text ?? '' }, rank };
    })
    .toSorted((a, b) => b.rank - a.rank)
    .slice(0, hitsMax)
    .map(({ hit }) => hit);
}

function entryOf(document: Document, section: Section): Entry {
  const words = wordsOf(section.parts.join(''));
  const counts = new Map<string, number>();
  for (const word of words) add(counts, word, 1);
  for (const word of wordsOf(section.heading)) add(counts, word, HEADING_WEIGHT);
  for (const word of wordsOf(document.title)) add(counts, word, TITLE_WEIGHT);
  return { document, section, counts, length: words.length };
}

function scoreOf(index: SearchIndex, entry: Entry, weights: ReadonlyMap<string, number>): number {
  const discount = 1 - LENGTH_DISCOUNT + (LENGTH_DISCOUNT * entry.length) / index.averageLength;
  const scores = [...weights].map(([word, weight]) => {
    const count = entry.counts.get(word) ?? 0;
    return (weight * count * (SATURATION + 1)) / (count + SATURATION * discount);
  });
  return sum(scores);
}

/** The inverse document frequency in the form that is never negative. */
function rarity(index: SearchIndex, word: string): number {
  const count = index.sectionsWith.get(word) ?? 0;
  return Math.log(1 + (index.entries.length - count + 0.5) / (count + 0.5));
}

function add(counts: Map<string, number>, word: string, count: number): void {
  counts.set(word, (counts.get(word) ?? 0) + count);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
