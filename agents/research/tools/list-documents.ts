import { z } from 'zod';
import { defineTool } from '../../../src/authoring/index.ts';
import { documentsFolder, openLibrary } from '../documents/library.ts';
import { documentListSchema } from '../documents/results.ts';

/** Reading and indexing some megabytes for the first time takes a second; the rest is for a slow disk. */
const TIMEOUT_MS = 10_000;
/** A project has some dozen documents; a hundred titles are about 2,000 tokens. */
const LISTED_MAX = 100;
const LEFT_OUT_LISTED_MAX = 20;

/** Lists the documents. */
export const listDocuments = defineTool({
  name: 'listDocuments',
  version: '1.0.0',
  description:
    'Lists the documents with path, title and number of sections. Use it to learn what there is; to find where something is said, use searchDocuments.',
  owner: 'docs',
  input: z.strictObject({}),
  output: documentListSchema,
  effect: 'read',
  timeoutMs: TIMEOUT_MS,
  run: async (_input, context) => {
    context.signal.throwIfAborted();
    const { documents, leftOut } = await openLibrary(documentsFolder());
    return {
      documents: documents
        .slice(0, LISTED_MAX)
        .map(({ path, title, sections }) => ({ path, title, sections: sections.length })),
      moreDocuments: Math.max(0, documents.length - LISTED_MAX),
      leftOut: leftOut.slice(0, LEFT_OUT_LISTED_MAX),
    };
  },
});
