/**
 * Goal: documents and code say the same, and the code keeps the few rules that no tool checks.
 * Method: lists in the documents are compared with lists in the code in both directions; links are followed, examples are compiled.
 */
import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Command } from 'commander';
import { createProgram } from '../src/cli/program.ts';
import { processCli } from '../src/cli/cli.ts';
import { FAILPOINTS } from '../src/domain/failpoint.ts';
import { CAUSES } from '../src/domain/run/cause.ts';
import { LIMITS } from '../src/domain/run/limits.ts';
import { variablesInCode, variablesOfLibraries } from './tidy/environment.ts';
import { examplesOf, plantExamples, type PlantedExamples } from './tidy/examples.ts';
import { codeWords, parseMarkdown, tableRows } from './tidy/markdown.ts';
import { namedBounds } from './tidy/named-bounds.ts';
import { readFiles, readText, ROOT, type TextFile } from './tidy/repository.ts';

const documents = readFiles('.', '.md');
const code = ['src', 'agents', 'test', 'scripts', 'examples', 'bench']
  .filter((folder) => existsSync(join(ROOT, folder)))
  .flatMap((folder) => readFiles(folder, '.ts'));

/** Gives the words in backticks in the first cell of every row of a text's tables. */
function firstCells(text: string): readonly string[] {
  return tableRows(text).flatMap(([first = '']) => codeWords(first));
}

/** Reads the number that a cell begins with. */
function numberIn(cell: string | undefined): number {
  return Number(/^[\d,]+/.exec(cell ?? '')?.[0].replaceAll(',', ''));
}

function linesWith(files: readonly TextFile[], pattern: RegExp): readonly string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
  );
}

describe('documents', () => {
  describe('failure types', () => {
    const document = parseMarkdown(readText('docs/failure-types.md'));

    it('has a section for every cause, and no other', () => {
      assert.deepEqual(document.headings(2).flatMap(codeWords), CAUSES);
    });

    for (const cause of CAUSES) {
      it(`says of ${cause} when it comes and how to solve it, or that nothing raises it`, () => {
        const section = document.section(`\`${cause}\``);
        assert.match(section, /\*\*When\.\*\*[^]*\*\*How to solve\.\*\*/);
        const raised = linesWith(readFiles('src', '.ts'), new RegExp(`'${cause}'`)).filter(
          (line) => !line.startsWith('src/domain/run/cause.ts'),
        );
        assert.equal(section.includes('Nothing raises it yet'), raised.length === 0, raised.join('\n'));
      });
    }
  });

  describe('limits', () => {
    const document = parseMarkdown(readText('docs/limits.md'));

    it('has every limit of a run with its value, and no other', () => {
      const rows = tableRows(document.section('Limits of a run'));
      const documented = rows.map(([name = '', value]) => [codeWords(name)[0], numberIn(value)]);
      assert.deepEqual(Object.fromEntries(documented), LIMITS);
    });

    it('has every named bound with its file and value, and no other', () => {
      const documented = tableRows(document.section('Named bounds')).map(([name = '', path = '', value]) =>
        [codeWords(path)[0], codeWords(name)[0], numberIn(value)].join(' '),
      );
      const declared = namedBounds().map(({ path, name, value }) => `${path} ${name} ${value}`);
      assert.deepEqual(documented.toSorted(), declared.toSorted());
    });
  });

  describe('configuration', () => {
    const documented = firstCells(readText('docs/configuration.md'));

    it('has every variable that the code reads', () => {
      assert.deepEqual(
        [...variablesInCode()].filter((name) => !documented.includes(name)),
        [],
      );
    });

    it('has no variable that nobody reads', () => {
      const read = new Set([...variablesInCode(), ...variablesOfLibraries()]);
      // A key's `_FILE` variable is read by the key's name.
      const isRead = (name: string): boolean => read.has(name) || read.has(name.replace(/_FILE$/, ''));
      assert.deepEqual(
        documented.filter((name) => !isRead(name)),
        [],
      );
    });

    it('has each variable once', () => assert.equal(new Set(documented).size, documented.length));
  });

  describe('failpoints', () => {
    it('are listed, all and no others', () => {
      assert.deepEqual(firstCells(parseMarkdown(readText('CONTRIBUTING.md')).section('Failpoints')), FAILPOINTS);
    });

    it('exist wherever they are named', () => {
      const named = documents.flatMap(({ path, text }) =>
        [...text.matchAll(/\b(?:run|model|effect|workflow):[a-z]+(?:-[a-z]+)*\b/g)].map(([name]) => ({ path, name })),
      );
      assert.deepEqual(
        named.filter(({ name }) => !FAILPOINTS.some((known) => known === name)),
        [],
      );
    });
  });

  describe('commands', () => {
    const text = documents.map((document) => document.text).join('\n');

    it('of npm exist', () => {
      const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
      const named = [...text.matchAll(/\bnpm (?:run (?:--silent )?([\w:]+)|(start|test)\b)/g)].map(
        ([, run, direct]) => run ?? direct ?? '',
      );
      assert.deepEqual(
        [...new Set(named)].filter((name) => scripts[name] === undefined),
        [],
      );
      assert.deepEqual(
        [...text.matchAll(/`(check:\w+)`/g)].map(([, name = '']) => name).filter((name) => scripts[name] === undefined),
        [],
      );
    });

    it('of the command line exist, with their options', () => {
      const program = createProgram(processCli(), { exitCode: 0 });
      const lines = [
        ...text.matchAll(/(?:^|[`|$ ])(?:npm run (?:--silent )?perdure -- |npx perdure |perdure )([a-z][^\n`|]*)/gm),
      ];
      const problems = lines
        .map(([, line = '']) => commandProblem(program, line))
        .filter((problem) => problem !== null);
      assert.deepEqual([...new Set(problems)], []);
    });
  });

  it('link to what exists', () => {
    const broken = documents.flatMap(({ path, text }) =>
      parseMarkdown(text).links.flatMap(({ target, anchor }) => {
        const file = target === '' ? path : normalize(join(dirname(path), target));
        if (!existsSync(join(ROOT, file))) return [`${path}: ${target}`];
        if (anchor === null || parseMarkdown(readText(file)).anchors.has(anchor)) return [];
        return [`${path}: ${target}#${anchor}`];
      }),
    );
    assert.deepEqual(broken, []);
  });

  it('name files that exist', () => {
    const isPath = /^(?:src|test|docs|agents|scripts|temporal-config|examples)\/[\w./*<>-]*$/;
    // What readers make in a folder of their own.
    const isOfReader = /^(?:agents\/clock|(?:test\/)?agents\/notes)/;
    const missing = documents.flatMap(({ path, text }) =>
      codeWords(parseMarkdown(text).prose)
        .filter((word) => isPath.test(word) && !word.includes('<') && !isOfReader.test(word))
        .filter((word) => globSync(word, { cwd: ROOT }).length === 0)
        .map((word) => `${path}: ${word}`),
    );
    assert.deepEqual(missing, []);
  });

  it('speak of no machine', () => {
    assert.deepEqual(linesWith([...documents, ...readFiles('src', '.ts')], /\/(?:home|root|Users|work)\//), []);
  });
});

describe('examples', () => {
  const examples = examplesOf(documents);
  let planted: PlantedExamples;

  before(async () => {
    planted = await plantExamples(examples);
  });
  after(async () => planted.remove());

  it('type-check', async function () {
    this.timeout(120_000);
    assert.equal(await planted.typeCheck(), '');
  });

  for (const [document, agents] of Object.entries({ 'README.md': ['clock'], 'docs/write-an-agent.md': ['booking'] })) {
    it(`of ${document} define agents that a worker can load`, async () => {
      assert.deepEqual(await planted.loadAgents(document), agents);
    });
  }

  it('of a whole agent have 25 lines', () => {
    const lines =
      examples
        .find(({ document }) => document === 'README.md')
        ?.text.trimEnd()
        .split('\n') ?? [];
    assert.ok(lines.length > 0 && lines.length <= 25, `${lines.length} lines`);
  });
});

describe('the code', () => {
  it('has no file of more than 400 lines', () => {
    const long = code.filter(({ text }) => text.trimEnd().split('\n').length > 400).map(({ path }) => path);
    assert.deepEqual(long, []);
  });

  it('has no test that is skipped or runs alone', () => {
    const skipped = /\b(?:describe|context|it)\.(?:skip|only)\(|^\s*x(?:it|describe)\(/;
    assert.deepEqual(linesWith(readFiles('test', '.ts'), skipped), []);
  });

  it('has nothing left to do', () => {
    assert.deepEqual(linesWith(readFiles('src', '.ts'), /\b(?:TODO|FIXME|XXX)\b/), []);
  });

  it('says in each test file its goal and its method', () => {
    const silent = readFiles('test', '.test.ts').filter(({ text }) => !/Goal: [^]*Method: /.test(text.slice(0, 700)));
    assert.deepEqual(
      silent.map(({ path }) => path),
      [],
    );
  });
});

/** Says what is wrong with a command line that a document names, or null. */
function commandProblem(program: Command, line: string): string | null {
  const words = line.split(' ');
  let command: Command = program;
  for (const word of words) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) break;
    command = next;
  }
  if (command.commands.length > 0) return `perdure ${line}`;
  const options = command.options.map(({ long }) => long);
  const unknown = words.find((word) => /^--[a-z]/.test(word) && !options.includes(word.replace(/[=.,].*$/, '')));
  return unknown === undefined ? null : `perdure ${line}: ${unknown}`;
}
