import { parseMarkdown } from '../tidy/markdown.ts';

/** What a reader of a page does with one of its blocks. */
export type Step =
  /** Writes a file. */
  | { readonly kind: 'write'; readonly path: string; readonly text: string }
  /** Runs commands in the reader's folder, or in the checkout. */
  | { readonly kind: 'run'; readonly where: 'folder' | 'checkout'; readonly commands: string }
  /** Runs a command that stays, in a terminal of its own. */
  | { readonly kind: 'stay'; readonly command: string };

/** Commands that stay until Ctrl-C. */
const STAYING = new Set(['npm start']);

/**
 * Reads the steps of a page, in order: `sh` is run, in the checkout where its title says so; everything else is a file, which the title or
 * the first line names.
 *
 * @throws Error for a block that does not say which file it is.
 */
export function stepsOf(markdown: string): readonly Step[] {
  return parseMarkdown(markdown).blocks.map(({ language, title, text }) => {
    if (language === 'sh') {
      const commands = text.trim();
      if (STAYING.has(commands)) return { kind: 'stay', command: commands };
      return { kind: 'run', where: title === 'checkout' ? 'checkout' : 'folder', commands };
    }
    const path = title ?? /^\/\/ (\S+\.ts)\n/.exec(text)?.[1];
    if (path === undefined) throw new Error(`a block of ${language} does not say which file it is:\n${text}`);
    return { kind: 'write', path, text };
  });
}
