import { posix } from 'node:path';
import { z } from 'zod';
import { defineTool, ToolRefusal } from '../../../src/authoring/index.ts';
import { documentsFolder, openLibrary } from '../documents/library.ts';
import { nearest } from '../documents/nearest.ts';
import { sectionSchema } from '../documents/results.ts';
import { citationOf, type Document, type Section } from '../documents/sections.ts';

/** Reading and indexing some megabytes for the first time takes a second; the rest is for a slow disk. */
const TIMEOUT_MS = 10_000;
const SUGGESTIONS_MAX = 5;
/** A document with more sections directly under one heading is a list, and better searched. */
const INSIDE_MAX = 50;

/** Reads one section of a document. A refusal repeats nothing of the input: what it said could be cited. */
export const readSection = defineTool({
  name: 'readSection',
  version: '1.0.0',
  description:
    'Reads the text of one section, by the path and anchor that searchDocuments gave. The first section of a document has its introduction and lists the sections inside. Refuses documents and anchors that do not exist, and says which ones are near.',
  owner: 'docs',
  input: z.strictObject({
    path: z.string().min(1).max(300).describe('For example `docs/guide.md`.'),
    anchor: z.string().min(1).max(300).describe('For example `setup`.'),
    part: z.int().min(1).default(1).describe('Which part of a section with several.'),
  }),
  output: sectionSchema,
  effect: 'read',
  timeoutMs: TIMEOUT_MS,
  run: async ({ path, anchor, part }, context) => {
    context.signal.throwIfAborted();
    const { documents } = await openLibrary(documentsFolder());
    const document = findDocument(documents, path);
    const section = findSection(document, anchor.replace(/^#/, ''));
    const text = section.parts[part - 1];
    if (text === undefined) throw new ToolRefusal(`The section has ${section.parts.length} part(s) only.`);
    return {
      citation: citationOf(document.path, section.anchor),
      title: document.title,
      heading: section.heading,
      text,
      part,
      parts: section.parts.length,
      inside: sectionsInside(document, section),
    };
  },
});

/** Looks a path up among the documents that were found. No other file is ever opened, wherever the path leads. */
function findDocument(documents: readonly Document[], path: string): Document {
  const plain = posix.normalize(path);
  if (plain.startsWith('..') || posix.isAbsolute(plain) || /[\\\0]/.test(plain)) {
    throw new ToolRefusal('The path leads outside the documents. Give one that listDocuments or searchDocuments gave.');
  }
  const document = documents.find((candidate) => candidate.path === plain);
  if (document !== undefined) return document;
  const near = nearest(
    plain,
    documents.map((candidate) => candidate.path),
    SUGGESTIONS_MAX,
  );
  throw new ToolRefusal(`There is no such document.${near.length > 0 ? ` Near: ${near.join(', ')}.` : ''}`);
}

function findSection(document: Document, anchor: string): Section {
  const section = document.sections.find((candidate) => candidate.anchor === anchor);
  if (section !== undefined) return section;
  const anchors = document.sections.map((candidate) => candidate.anchor);
  const near = nearest(anchor, anchors, SUGGESTIONS_MAX).join(', ');
  throw new ToolRefusal(`The document has no section with this anchor. Near: ${near === '' ? 'none' : near}.`);
}

/** The sections one level below, up to the next of the same level or above. */
function sectionsInside(document: Document, section: Section): { heading: string; anchor: string }[] {
  const below = document.sections.slice(document.sections.indexOf(section) + 1);
  const end = below.findIndex(({ level }) => level <= section.level);
  const inside = section.level === 0 ? [] : below.slice(0, end === -1 ? below.length : end);
  const top = inside.reduce((least, { level }) => Math.min(least, level), Infinity);
  return inside
    .filter(({ level }) => level === top)
    .slice(0, INSIDE_MAX)
    .map(({ heading, anchor }) => ({ heading, anchor }));
}
