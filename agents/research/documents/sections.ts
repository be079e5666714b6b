/** A heading and the text under it, up to the next heading of any level. */
export type Section = {
  readonly heading: string;
  /** 1 to 6; 0 for text that stands before the first heading. */
  readonly level: number;
  /** The heading's anchor, as GitHub makes it. */
  readonly anchor: string;
  /** The text in parts of at most 8 KiB; at least one, which may be empty. */
  readonly parts: readonly string[];
};

export type Document = {
  /** From the folder, with `/` on every system. */
  readonly path: string;
  readonly title: string;
  readonly sections: readonly Section[];
};

/** A part goes into a prompt whole: 8 KiB are about 2,000 tokens, and only two sections in a hundred are longer. */
const PART_BYTES_MAX = 8 * 1024;

/** A longer line is data that begins with a mark; it is not worth the time that the pattern takes for it. */
const HEADING_LENGTH_MAX = 500;
/** The name that HTML gives the beginning of any page. */
const BEGINNING = 'top';

/** Takes a Markdown document apart at its `#` headings; what looks like one in a block of code is none. */
export function parseDocument(path: string, text: string): Document {
  const anchors = new Map<string, number>();
  const begun: { heading: string; level: number; lines: string[] }[] = [{ heading: path, level: 0, lines: [] }];
  let fence: string | null = null;
  for (const line of text.replace(/^\u{FEFF}/u, '').split(/\r?\n/)) {
    const mark = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line);
    const heading =
      fence === null && line.length <= HEADING_LENGTH_MAX
        ? /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/.exec(line)
        : null;
    if (mark?.[1] !== undefined) fence = fenceAfter(fence, mark[1], mark[2] ?? '');
    if (heading === null) begun.at(-1)?.lines.push(line);
    else begun.push({ heading: plainText(heading[2] ?? ''), level: heading[1]?.length ?? 1, lines: [] });
  }
  const sections = begun
    .map(({ heading, level, lines }) => ({ heading, level, text: lines.join('\n').trim() }))
    .filter(({ level, text: own }) => level > 0 || own !== '')
    .map(({ heading, level, text: own }) => ({
      heading,
      level,
      anchor: takeAnchor(anchors, level === 0 ? BEGINNING : heading),
      parts: partsOf(own),
    }));
  return { path, title: sections.find(({ level }) => level === 1)?.heading ?? path, sections };
}

/** Writes a citation: the form in which answers name a section, and in which reflection looks for it in what tools gave. */
export function citationOf(path: string, anchor: string): string {
  return `[${path}#${anchor}]`;
}

function fenceAfter(fence: string | null, mark: string, rest: string): string | null {
  if (fence === null) return mark;
  return mark.startsWith(fence) && rest.trim() === '' ? null : fence;
}

/** A heading as a page shows it: links are their text, and marks of code are not seen. */
function plainText(heading: string): string {
  return heading
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll('`', '')
    .trim();
}

/** Headings of the same text get numbers; `taken` has the last number of each text. */
function takeAnchor(taken: Map<string, number>, heading: string): string {
  const letters = heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
  const name = letters === '' ? 'section' : letters;
  let number = taken.get(name) ?? 0;
  let anchor = name;
  for (; taken.has(anchor); anchor = `${name}-${number}`) number += 1;
  taken.set(name, number);
  taken.set(anchor, taken.get(anchor) ?? 0);
  return anchor;
}

/** Cuts a text between lines where it can, and within a line that is too long by itself. */
function partsOf(text: string): readonly string[] {
  const parts = [''];
  let bytes = 0;
  for (const piece of text.split(/(?<=\n)/).flatMap(piecesOf)) {
    const more = Buffer.byteLength(piece);
    if (bytes + more > PART_BYTES_MAX) {
      parts.push('');
      bytes = 0;
    }
    parts.push(`${parts.pop() ?? ''}${piece}`);
    bytes += more;
  }
  return parts;
}

function piecesOf(line: string): readonly string[] {
  if (Buffer.byteLength(line) <= PART_BYTES_MAX) return [line];
  // Four bytes are the most that a character takes.
  const characters = Array.from(line);
  const length = PART_BYTES_MAX / 4;
  return Array.from({ length: Math.ceil(characters.length / length) }, (_, index) =>
    characters.slice(index * length, (index + 1) * length).join(''),
  );
}
