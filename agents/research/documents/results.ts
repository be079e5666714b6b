import { z } from 'zod';

/** The form in which an answer names a section. Results carry it whole, because an answer may cite only what stands in a result. */
const citationSchema = z.string().describe('Cite the section in exactly this form, for example [docs/guide.md#setup].');

/** What listDocuments gives. */
export const documentListSchema = z.strictObject({
  documents: z.array(
    z.strictObject({ path: z.string(), title: z.string(), sections: z.int().describe('How many sections it has.') }),
  ),
  moreDocuments: z.int().describe('Documents that there are besides.'),
  leftOut: z.array(z.string()).describe('Files that cannot be read with these tools.'),
});

/** What searchDocuments gives. */
export const searchResultSchema = z.strictObject({
  hits: z.array(
    z.strictObject({
      citation: citationSchema,
      path: z.string(),
      anchor: z.string(),
      heading: z.string(),
      snippet: z.string().describe('The sentence or table row that fits best.'),
      coverage: z.number().describe('Which part of the query the section has, from 0 to 1; rare words weigh more.'),
    }),
  ),
  searchedSections: z.int(),
});

/** What readSection gives. */
export const sectionSchema = z.strictObject({
  citation: citationSchema,
  title: z.string().describe('Title of the document.'),
  heading: z.string(),
  text: z.string(),
  part: z.int(),
  parts: z.int().describe('A section longer than 8 KiB has several parts.'),
  inside: z
    .array(z.strictObject({ heading: z.string(), anchor: z.string() }))
    .describe('Sections directly under this one, which are read by themselves.'),
});
