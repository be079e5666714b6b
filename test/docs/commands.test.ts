// Goal: every command line in the documents does what its page says: it ends with 0 against living servers.
// Method: commands are read from blocks of code and from tables, run one by one, and given a run, an approval or an effect of their own.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workers } from '../../src/workers/start-workers.ts';
import { capturedCli, type Ended } from '../cli/captured-cli.ts';
import { openPlatform, type Platform, until } from '../client/platform.ts';
import { testFolder } from '../support/servers.ts';
import { examplesOf, plantExamples, type PlantedExamples } from '../tidy/examples.ts';
import { parseMarkdown } from '../tidy/markdown.ts';
import { readFiles, readText, ROOT } from '../tidy/repository.ts';
import { linkAgents } from './link-agents.ts';
import { createSubjects, type Subjects } from './subjects.ts';

/** Commands that other tests run as their pages say, because they bring servers of their own or talk to a terminal. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  dev: 'test/cli/dev.test.ts',
  chat: 'test/cli/chat.test.ts',
  doctor: 'test/cli/doctor.test.ts',
  replay: 'test/replay/replay.test.ts',
  completion: 'test/cli/completion.test.ts',
};

/** Pages whose commands need what the page itself has made. */
const FOLLOWED_WHOLE: readonly string[] = ['docs/quick-start.md', 'docs/test-an-agent.md'];

describe('the commands of the documents', function () {
  this.timeout(120_000);
  let platform: Platform;
  let workers: Workers;
  let planted: PlantedExamples;
  let subjects: Subjects;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;

  before(async () => {
    platform = await openPlatform();
    planted = await plantExamples(examplesOf(readFiles('docs', '.md')));
    const cwd = await testFolder();
    await linkAgents(join(cwd, 'agents'), [
      join(ROOT, 'agents'),
      join(import.meta.dirname, 'agents'),
      planted.agentsOf('docs/write-an-agent.md'),
    ]);
    await writeFile(join(cwd, 'quote.json'), '{"priceUsd":120}');
    await writeFile(join(cwd, 'question.txt'), 'What is new?');
    workers = await platform.startWorkers('pages', join(cwd, 'agents'));
    const { temporal, postgres } = platform.servers;
    const env = {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
      PERDURE_QUEUE_PREFIX: 'pages',
    };
    perdure = capturedCli(env, { cwd });
    subjects = createSubjects(platform, perdure, until);
  });

  after(async () => {
    await workers?.shutdown();
    await platform?.close();
    await planted?.remove();
  });

  for (const { document, line } of commandLines()) {
    const words = wordsOf(line);
    if (ELSEWHERE[words[0] ?? ''] !== undefined) continue;
    it(`${document}: perdure ${line}`, async () => {
      const parameters = await subjects.fill(words);
      // A new agent is written into the folder, and the other commands load what is there.
      const run = line.startsWith('agent new') ? await inAnotherFolder() : perdure;
      const { exitCode, said } = await run(...parameters);
      assert.equal(exitCode, 0, `perdure ${parameters.join(' ')}: ${said}`);
    });
  }

  it('that are tested elsewhere are named there', () => {
    for (const [command, path] of Object.entries(ELSEWHERE)) {
      assert.ok(readText(path).includes(command), `${path} says nothing of ${command}`);
    }
  });
});

async function inAnotherFolder(): Promise<ReturnType<typeof capturedCli>> {
  const cwd = await testFolder();
  await mkdir(join(cwd, 'agents'));
  return capturedCli({}, { cwd });
}

/** Reads what follows `perdure` in blocks for a shell and in the cells of tables, each line once. */
function commandLines(): readonly { readonly document: string; readonly line: string }[] {
  const documents = [...readFiles('docs', '.md'), { path: 'README.md', text: readText('README.md') }].filter(
    ({ path }) => !FOLLOWED_WHOLE.includes(path),
  );
  const seen = new Set<string>();
  return documents.flatMap(({ path: document, text }) => {
    const blocks = parseMarkdown(text).blocks.filter(({ language }) => language === 'sh');
    const lines = [
      ...blocks.flatMap((block) =>
        [...block.text.matchAll(/^(?:npx |npm run (?:--silent )?)?perdure (?:-- )?(.+)$/gm)].map(
          ([, line = '']) => line,
        ),
      ),
      ...[...text.matchAll(/^\|.*\| +(`perdure .+`) +\|$/gm)].flatMap(([, cell = '']) =>
        [...cell.matchAll(/`perdure ([^`]+)`/g)].map(([, line = '']) => line),
      ),
    ];
    return lines
      .filter((line) => !seen.has(line) && seen.add(line))
      .map((line) => ({ document, line: line.replaceAll('\\|', '|').trim() }));
  });
}

/** Takes a command line apart as a shell does, as far as documents need it. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}
