/**
 * One section of a trace: lines of input, and what they print. A section without a `----` line is a remark and has no output.
 * Sections are parted by one empty line.
 */
export type Section = { readonly input: readonly string[]; readonly output: readonly string[] | null };

const RULE = '----';

/** Reads the text of a trace. */
export function parseSections(text: string): readonly Section[] {
  return text
    .trim()
    .split(/\n\s*\n/)
    .map((block) => {
      const lines = block.split('\n');
      const rule = lines.indexOf(RULE);
      const isRemark = lines.every((line) => line.startsWith('#'));
      if (isRemark) return { input: lines, output: null };
      return { input: rule === -1 ? lines : lines.slice(0, rule), output: rule === -1 ? [] : lines.slice(rule + 1) };
    });
}

/** Writes a trace as it is read. */
export function formatSections(sections: readonly Section[]): string {
  const blocks = sections.map(({ input, output }) =>
    [...input, ...(output === null ? [] : [RULE, ...output])].join('\n'),
  );
  return `${blocks.join('\n\n')}\n`;
}
