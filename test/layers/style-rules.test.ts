/**
 * Goal: the rules of style that lint enforces do report.
 * Method: plants one file that breaks each rule, and one that is just within it, and lints them once.
 */
import assert from 'node:assert/strict';
import { lintPlanted, type Report } from './planted-tree.ts';

const broken: Readonly<Record<string, string>> = {
  'eslint(max-lines)': linesOf(401),
  'eslint(max-lines-per-function)': functionOf(71),
  'import(no-default-export)': 'export default 1;\n',
  'import(no-cycle)': `import { b } from './cycle.ts';\nexport const a = () => b;\n`,
  'typescript(consistent-type-imports)': `import { Run } from './cycle.ts';\nexport type A = Run;\n`,
  'typescript(no-explicit-any)': 'export const a: any = 1;\n',
  'typescript(no-floating-promises)': 'const a = async () => 1;\nexport function b(): void {\n  a();\n}\n',
  'typescript(no-import-type-side-effects)': `import { type Run } from './cycle.ts';\nexport type A = Run;\n`,
  'typescript(no-misused-promises)': 'export const a = [1].filter(async (n) => n > 0);\n',
  'typescript(only-throw-error)': `export function a(): never {\n  throw 'text';\n}\n`,
  'typescript(switch-exhaustiveness-check)': switchOver('end'),
};

/** Imports the two files that import it. */
const cycle = `import { a } from './import-no-cycle-.ts';
export interface Run {
  readonly id: string;
}
export const b = () => a;
`;

const kept: Readonly<Record<string, string>> = {
  'eslint(max-lines)': linesOf(400),
  'eslint(max-lines-per-function)': functionOf(70),
  'typescript(switch-exhaustiveness-check)': switchOver('end', 'pause'),
};

describe('style rules', () => {
  let reports: readonly Report[];

  before(async () => {
    reports = await lintPlanted(
      new Map([
        ...Object.entries(broken).map(([rule, text]) => [fileOf('broken', rule), text] as const),
        ...Object.entries(kept).map(([rule, text]) => [fileOf('kept', rule), text] as const),
        ['src/domain/broken/cycle.ts', cycle],
        ['dist/a.ts', 'export default 1;\n'],
        ['.data/a.ts', 'export default 1;\n'],
      ]),
    );
  });

  for (const rule of Object.keys(broken)) {
    it(`reports what breaks ${rule}`, () => assert.equal(countOf('broken', rule), 1));
  }

  for (const rule of Object.keys(kept)) {
    it(`accepts what is just within ${rule}`, () => assert.equal(countOf('kept', rule), 0));
  }

  it('looks into no build output', () => {
    assert.deepEqual(
      reports.filter(({ file }) => /^(?:dist|\.data)\//u.test(file)),
      [],
    );
  });

  function countOf(group: string, rule: string): number {
    return reports.filter((report) => report.file === fileOf(group, rule) && report.rule === rule).length;
  }
});

function linesOf(count: number): string {
  return Array.from({ length: count }, (_, index) => `export const a${index} = 1;\n`).join('');
}

/** A function of so many lines of code; its comment and blank line do not count. */
function functionOf(count: number): string {
  const body = '  n += 1;\n'.repeat(count - 4);
  return `export function a(): number {\n  // A comment.\n\n  let n = 0;\n${body}  return n;\n}\n`;
}

function switchOver(...handled: readonly string[]): string {
  const cases = handled.map((kind) => `    case '${kind}':\n      return 1;\n`).join('');
  return `export function a(kind: 'end' | 'pause'): number | undefined {\n  switch (kind) {\n${cases}  }\n  return 2;\n}\n`;
}

function fileOf(group: string, rule: string): string {
  return `src/domain/${group}/${rule.replaceAll(/\W+/gu, '-')}.ts`;
}
