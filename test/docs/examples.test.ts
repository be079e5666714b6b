// Goal: the programs of the documents do what their pages say.
// Method: each block of code that is a program runs as a process of its own against living servers, as whoever copies it would run it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Workers } from '../../src/workers/start-workers.ts';
import { openPlatform, type Platform, until } from '../client/platform.ts';
import { testFolder } from '../support/servers.ts';
import { type Example, examplesOf, plantExamples, type PlantedExamples } from '../tidy/examples.ts';
import { readFiles, ROOT } from '../tidy/repository.ts';
import { linkAgents } from './link-agents.ts';

/** The smallest picture there is. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

/** What each program prints. */
const PRINTS: Readonly<Record<string, RegExp>> = {
  'examples/send-messages.ts': /^answered Order A-1090 .* \d+ tokens$/m,
  'examples/stream-reply.ts': /^answer: Order A-1090 .*\nanswered$/m,
  'examples/send-picture.ts': /kind: '(?:answered|asked)'/,
  'examples/schedule.ts': /T08:00:00|T07:00:00/,
  'examples/give-a-quote.ts': /^applied$/m,
  'examples/read-estimate.ts': /^completed 3 medium$/m,
};

describe('the programs of the documents', function () {
  this.timeout(120_000);
  const all = examplesOf(readFiles('docs', '.md'));
  const examples = all.filter(({ path }) => path.startsWith('examples/'));
  let platform: Platform;
  let workers: Workers;
  let planted: PlantedExamples;
  let cwd: string;

  before(async () => {
    platform = await openPlatform();
    planted = await plantExamples(all);
    cwd = await testFolder();
    await linkAgents(join(cwd, 'agents'), [
      join(ROOT, 'agents'),
      join(import.meta.dirname, 'agents'),
      planted.agentsOf('docs/model-policy.md'),
    ]);
    await writeFile(join(cwd, 'lamp.png'), Buffer.from(PIXEL, 'base64'));
    // The queues that programs find without being told.
    workers = await platform.startWorkers('perdure', join(cwd, 'agents'));
  });

  after(async () => {
    await workers?.shutdown();
    await platform?.connectClient({ queuePrefix: 'perdure' }).schedules.delete({ id: 'morning' });
    await platform?.close();
    await planted?.remove();
  });

  for (const example of examples) {
    it(`${example.document}: ${example.path}`, async () => {
      const parameters = example.path === 'examples/give-a-quote.ts' ? [await tokenOfQuote()] : [];
      assert.match(await run(example, parameters), PRINTS[example.path] ?? /^$/);
    });
  }

  async function run(example: Example, parameters: readonly string[]): Promise<string> {
    const { temporal, postgres } = platform.servers;
    const env = {
      ...process.env,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
    };
    const { stdout } = await promisify(execFile)(process.execPath, [planted.pathOf(example), ...parameters], {
      cwd,
      env,
    });
    return stdout;
  }

  async function tokenOfQuote(): Promise<string> {
    const client = platform.connectClient({ queuePrefix: 'perdure' });
    const { id: agentRunId } = await client.start({ agent: 'quotes', input: 'A price, please.' });
    const calls = () => platform.reader.deferredCalls('default', { agentRunId });
    await until(async () => (await calls())[0]?.state === 'waiting', 'the call waits');
    return (await calls())[0]?.token ?? '';
  }
});
