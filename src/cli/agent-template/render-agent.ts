import { readFileSync } from 'node:fs';

/** What stands between double braces in the templates. */
export type AgentNames = {
  readonly name: string;
  readonly authoringFromAgent: string;
  readonly authoringFromTest: string;
  /** Path of the agent's folder. */
  readonly agentFromTest: string;
  /** Path of the test from the root, for the README. */
  readonly testPath: string;
};

/** A file of a new agent, in the agent's folder or in that of its test. */
export type RenderedFile = { readonly folder: 'agent' | 'test'; readonly file: string; readonly text: string };

/** Writes the files of a new agent: one read, one write that happens once, a rehearsal and a test that passes. */
export function renderAgent(names: AgentNames): readonly RenderedFile[] {
  return [
    ...['agent.ts', 'notes.ts', 'rehearsal.ts', 'README.md'].map(
      (file) => ({ folder: 'agent', file, text: render(file, names) }) as const,
    ),
    { folder: 'test', file: `${names.name}.test.ts`, text: render('test.ts', names) },
  ];
}

/** @throws Error for a word between braces that nobody gives a value. */
function render(file: string, names: AgentNames): string {
  const template = readFileSync(new URL(`${file}.template`, import.meta.url), 'utf8');
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, word: string) => {
    const value = (names as { readonly [word: string]: string })[word];
    if (value === undefined) throw new Error(`${file}.template names ${word}, which has no value`);
    return value;
  });
}
