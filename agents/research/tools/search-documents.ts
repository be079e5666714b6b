import { z } from 'zod';
import { defineTool } from '../../../src/authoring/index.ts';
import { documentsFolder, openLibrary } from '../documents/library.ts';
import { searchResultSchema } from '../documents/results.ts';
import { searchIndex } from '../documents/search-index.ts';
import { citationOf } from '../documents/sections.ts';

/** Reading and indexing some megabytes for the first time takes a second; the rest is for a slow disk. */
const TIMEOUT_MS = 10_000;
/** What does not fit among eight is found with other words, not further down. */
const HITS_MAX = 8;
/** Longer than any question; a text that is pasted whole finds nothing in particular. */
export const QUERY_LENGTH_MAX = 300;

/** Searches the sections of all documents. */
export const searchDocuments = defineTool({
  name: 'searchDocuments',
  version: '1.0.0',
  description:
    'Searches the sections of all documents for words, best first. Use the words that the documents would use. Gives where each section is and its best sentence; read the section before you answer from it. No hits mean that no document has any of the words.',
  owner: 'docs',
  input: z.strictObject({
    query: z.string().trim().min(1).max(QUERY_LENGTH_MAX).describe('A question or a few words.'),
    limit: z.int().min(1).max(HITS_MAX).default(5),
  }),
  output: searchResultSchema,
  effect: 'read',
  timeoutMs: TIMEOUT_MS,
  run: async ({ query, limit }, context) => {
    context.signal.throwIfAborted();
    const { index } = await openLibrary(documentsFolder());
    const hits = searchIndex(index, query, limit).map(({ document, section, snippet, coverage }) => ({
      citation: citationOf(document.path, section.anchor),
      path: document.path,
      anchor: section.anchor,
      heading: section.heading,
      snippet,
      coverage: Math.round(coverage * 100) / 100,
    }));
    return { hits, searchedSections: index.entries.length };
  },
});
