import { findFiles, readText, type DocumentFile } from './find-files.ts';
import { buildIndex, entriesOf, type Entry, type SearchIndex } from './search-index.ts';
import { parseDocument, type Document } from './sections.ts';

/** What was read of a folder. */
export type Library = {
  /** In the order of their paths. */
  readonly documents: readonly Document[];
  /** Paths of files that are not read: too large, too many, or with a name that no citation can hold. */
  readonly leftOut: readonly string[];
  readonly index: SearchIndex;
};

/** Far above a project's own documents; it keeps a folder of something else from filling the worker's memory. */
const DOCUMENTS_MAX = 500;
/** A hand-written document has a tenth of this. One document is indexed at a time, in which the worker does nothing else. */
const DOCUMENT_BYTES_MAX = 256 * 1024;
/** All documents together: thirty times this project's, indexed in about three seconds. */
const LIBRARY_BYTES_MAX = 4 * 1024 * 1024;
/** What the patterns of reflection recognise as a path, so that no citation of a document passes them unseen. */
const CITABLE = /^[\p{L}\p{M}\p{N}_./-]+$/u;

/** The library of this process. It is a cache: every call looks at the files, and what changed is read anew. */
let latest: { readonly folder: string; readonly stamp: string; readonly library: Promise<Library> } | null = null;

/** Names the folder of the documents: PERDURE_RESEARCH_DIR, else the working directory. */
export function documentsFolder(): string {
  return process.env['PERDURE_RESEARCH_DIR'] || process.cwd();
}

/**
 * Opens the documents of a folder, which are read and indexed once, and again after a file of them has changed, come or gone.
 *
 * @throws ToolUnreachable when the folder cannot be read.
 */
export async function openLibrary(folder: string): Promise<Library> {
  const files = await findFiles(folder);
  const stamp = JSON.stringify(files);
  if (latest?.folder === folder && latest.stamp === stamp) return latest.library;
  const opened = { folder, stamp, library: readLibrary(folder, files) };
  latest = opened;
  try {
    return await opened.library;
  } catch (error) {
    if (latest === opened) latest = null;
    throw error;
  }
}

async function readLibrary(folder: string, files: readonly DocumentFile[]): Promise<Library> {
  const read = chooseFiles(files);
  const documents: Document[] = [];
  const entries: Entry[] = [];
  for (const { path } of read) {
    const text = await readText(folder, path);
    if (text === null) continue;
    const document = parseDocument(path, text);
    documents.push(document);
    for (const entry of entriesOf(document)) entries.push(entry);
  }
  const leftOut = files.filter((file) => !read.includes(file)).map(({ path }) => path);
  return { documents, leftOut, index: buildIndex(entries) };
}

/** Takes files in the order of their paths for as long as they fit. */
function chooseFiles(files: readonly DocumentFile[]): readonly DocumentFile[] {
  let bytes = 0;
  return files
    .filter((file) => file.bytes <= DOCUMENT_BYTES_MAX && CITABLE.test(file.path))
    .slice(0, DOCUMENTS_MAX)
    .filter((file) => (bytes += file.bytes) <= LIBRARY_BYTES_MAX);
}
