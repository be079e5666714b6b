/** A fenced block of code. Its title stands behind the language: `json title=package.json`. */
export type CodeBlock = { readonly language: string; readonly title: string | null; readonly text: string };

export type Link = { readonly target: string; readonly anchor: string | null };

/** A document, taken apart as far as the tests look into it. */
export type Markdown = {
  /** Anchors of its headings, as GitHub makes them. */
  readonly anchors: ReadonlySet<string>;
  /** Headings of one level, without their marks. */
  readonly headings: (level: number) => readonly string[];
  /** The text under a heading, up to the next heading of the same or a higher level. */
  readonly section: (heading: string) => string;
  /** Links to other files of the repository or to places in them. */
  readonly links: readonly Link[];
  readonly blocks: readonly CodeBlock[];
  /** The text without its blocks of code. */
  readonly prose: string;
};

const FENCE = /^```(\S*)(?: title=(\S+))?[^\n]*\n([\s\S]*?)^```\s*$/gm;

/** Takes a document apart. */
export function parseMarkdown(text: string): Markdown {
  const prose = text.replaceAll(FENCE, '');
  const headings = [...prose.matchAll(/^(#{1,6}) (.+)$/gm)].map(([, marks = '', title = '']) => ({
    level: marks.length,
    title: title.trim(),
  }));
  return {
    anchors: anchorsOf(headings.map(({ title }) => title)),
    headings: (level) => headings.filter((heading) => heading.level === level).map(({ title }) => title),
    section: (heading) => sectionOf(text, heading),
    links: linksOf(prose),
    blocks: [...text.matchAll(FENCE)].map(([, language = '', title, code = '']) => ({
      language,
      title: title ?? null,
      text: code,
    })),
    prose,
  };
}

/** Reads the rows of every table in a text, header rows left out; cells without spaces around them and without escapes. */
export function tableRows(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const isRow = line.startsWith('|') && !/^\|[\s|:-]+$/.test(line);
    const isHeader = /^\|[\s|:-]+$/.test(lines[index + 1] ?? '');
    if (!isRow || isHeader) return [];
    const cells = line.split(/(?<!\\)\|/).slice(1, -1);
    return [cells.map((cell) => cell.trim().replaceAll('\\|', '|'))];
  });
}

/** Lists the words between backticks of a text. */
export function codeWords(text: string): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, word = '']) => word);
}

function sectionOf(text: string, heading: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '').trim() === heading);
  if (start === -1) throw new Error(`there is no heading ${heading}`);
  const level = /^#+/.exec(lines[start] ?? '')?.[0].length ?? 1;
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => new RegExp(`^#{1,${level}} `).test(line));
  return rest.slice(0, end === -1 ? rest.length : end).join('\n');
}

function linksOf(prose: string): readonly Link[] {
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return { target: path, anchor: anchor ?? null };
    });
}

/** Headings of the same text get numbers, as GitHub gives them. */
function anchorsOf(titles: readonly string[]): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const title of titles) {
    const slug = title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}
