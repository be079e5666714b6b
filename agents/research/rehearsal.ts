import type { z } from 'zod';
import type { Rehearsal, RehearsalReply, RehearsalView } from '../../src/authoring/index.ts';
import { bestPassage } from './documents/passages.ts';
import { documentListSchema, searchResultSchema, sectionSchema } from './documents/results.ts';
import { wordsOf } from './documents/words.ts';
import { QUERY_LENGTH_MAX } from './tools/search-documents.ts';

type Part = RehearsalView['parts'][number];
type Result = Extract<Part, { kind: 'tool-result' }>;

/** A section with less than half of what was asked speaks of something else. */
const COVERAGE_MIN = 0.5;
/** Two sections answer what one leaves open; more would be a list of hits. */
const SECTIONS_MAX = 2;

const NOT_SAID = 'The documents do not say.';
const WANTS_LIST = /\b(?:which|what|list)\b.{0,20}\bdocuments\b(?! say)/i;

/** Plays the research agent's model by rules: searches, reads the best sections, and answers with a sentence of each and its citation. */
export const rehearsal: Rehearsal = ({ parts }) => {
  const { question, results } = readTranscript(parts);
  const words = wordsOf(question);
  if (words.length === 0) return { text: 'What do you want to know of the documents?' };
  if (WANTS_LIST.test(question)) return listAll(results.find(({ toolName }) => toolName === 'listDocuments'));
  const search = results.find(({ toolName }) => toolName === 'searchDocuments');
  if (search === undefined) return call('searchDocuments', { query: question.slice(0, QUERY_LENGTH_MAX) });
  const reads = results.filter(({ toolName }) => toolName === 'readSection');
  return reads.length > 0 ? { text: sayAnswer(reads, search, words) } : readBest(search, words);
};

/** Takes the newest question and what was found since. What a check says of the answer is no question. */
function readTranscript(parts: readonly Part[]): { readonly question: string; readonly results: readonly Result[] } {
  const asked = parts.findLastIndex(({ kind }) => kind === 'user-text');
  const at = asked === -1 ? parts.findLastIndex(({ kind }) => kind === 'guidance') : asked;
  const part = parts[at];
  return {
    question: part?.kind === 'user-text' || part?.kind === 'guidance' ? part.text.trim() : '',
    results: parts.slice(at + 1).filter((each) => each.kind === 'tool-result'),
  };
}

function readBest(search: Result, words: readonly string[]): RehearsalReply {
  const found = outputOf(search, searchResultSchema);
  if (found === null) return { text: `I could not search the documents: ${messageOf(search)}` };
  if (found.searchedSections === 0) return { text: `${NOT_SAID} There are none to read.` };
  const chosen = found.hits
    .filter(
      ({ coverage, snippet }) => coverage >= COVERAGE_MIN && wordsOf(snippet).some((word) => words.includes(word)),
    )
    .slice(0, SECTIONS_MAX);
  if (chosen.length === 0) return { text: NOT_SAID };
  return {
    toolCalls: chosen.map(({ path, anchor }) => ({ tool: 'readSection', input: { path, anchor } })),
  };
}

function sayAnswer(reads: readonly Result[], search: Result, words: readonly string[]): string {
  const quotes = reads.flatMap((read) => {
    const section = outputOf(read, sectionSchema);
    const hit = outputOf(search, searchResultSchema)?.hits.find(({ citation }) => citation === section?.citation);
    const quote = section === null ? null : quoteOf(section.text, hit?.snippet, words);
    return section === null || quote === null ? [] : [`“${quote}” ${section.citation}`];
  });
  if (quotes.length > 0) return `The documents say:\n${quotes.join('\n')}`;
  const refused = reads.find(({ isError }) => isError);
  return refused === undefined ? NOT_SAID : `I could not read what I found: ${messageOf(refused)}`;
}

/** The search has weighed the words against all documents; its sentence is quoted where the text that was read has it. */
function quoteOf(text: string, snippet: string | undefined, words: readonly string[]): string | null {
  if (snippet !== undefined && text.replaceAll(/\s+/g, ' ').includes(snippet)) return snippet;
  return bestPassage(text, new Map(words.map((word) => [word, 1])))?.text ?? null;
}

function listAll(listed: Result | undefined): RehearsalReply {
  if (listed === undefined) return call('listDocuments', {});
  const list = outputOf(listed, documentListSchema);
  if (list === null) return { text: `I could not list the documents: ${messageOf(listed)}` };
  if (list.documents.length === 0) return { text: 'There are no documents.' };
  const titles = list.documents.map(({ path, title }) => `${path} (${title})`).join(', ');
  return { text: `The documents are ${titles}${list.moreDocuments > 0 ? `, and ${list.moreDocuments} more` : ''}.` };
}

function call(tool: string, input: Record<string, string>): RehearsalReply {
  return { toolCalls: [{ tool, input }] };
}

/** Reads what a tool gave; null for a failure, and for anything else than what the tool gives. */
function outputOf<Schema extends z.ZodType>(result: Result, schema: Schema): z.output<Schema> | null {
  const parsed = schema.safeParse(result.output);
  return !result.isError && parsed.success ? parsed.data : null;
}

/** What a failed call says, as text or in `message`. */
function messageOf({ output }: Result): string {
  if (typeof output === 'string') return output;
  const message = typeof output === 'object' && output !== null && 'message' in output ? output.message : undefined;
  return typeof message === 'string' ? message : 'no reason was given.';
}
