// Goal: keys of starts and messages outlive workers and Temporal's own memory: three messages sent twice are three answers of one run.
// Method: worker processes are killed between and within messages, executions are deleted in Temporal, commands run on what is left.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Connection } from '@temporalio/client';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import { createClient, type PerdureClient, type Reply } from '../../src/client/index.ts';
import { openRunReader } from '../../src/stores/run-reader.ts';
import { migrate } from '../../src/stores/migrate.ts';
import { openDatabase } from '../../src/stores/database.ts';
import { capturedCli } from '../cli/captured-cli.ts';
import { deleteExecution } from '../support/delete-execution.ts';
import { startTestServers, testFolder, type TestServers } from '../support/servers.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/crash/worker-process.ts';

const prefix = `talk-${randomBytes(3).toString('hex')}`;
const tenant = `tenant-${prefix}`;

const MESSAGES = [
  ['m1', 'Where is my order A-1090? I am Liam Murphy.'],
  ['m2', 'And where is A-1012? I am Maria Silva.'],
  ['m3', 'Where is my order A-1090? I am Liam Murphy.'],
] as const;

function textOf(reply: Reply): string {
  return reply.kind === 'ended' ? 'ended' : reply.text;
}

describe('fault: conversations and start keys', function () {
  this.timeout(240_000);
  let servers: TestServers;
  let folder: string;
  let connection: Connection;
  let reader: ReturnType<typeof openRunReader>;
  let client: PerdureClient;
  const workers: WorkerProcess[] = [];

  before(async () => {
    servers = await startTestServers();
    folder = await testFolder();
    const db = openDatabase(servers.postgres.url, () => undefined);
    await migrate(db);
    await db.destroy();
    connection = connectLocally(servers.temporal.address);
    reader = openRunReader(servers.postgres.url);
    client = createClient({
      connection,
      namespace: servers.temporal.namespace,
      taskQueue: `${prefix}-agents`,
      reader,
      principal: 'tester',
      answerMs: 3_000,
    });
  });

  after(async () => {
    await Promise.all(workers.map((worker) => worker.kill()));
    await connection?.close();
    await reader?.close();
  });

  const environment = () => ({
    TEMPORAL_ADDRESS: servers.temporal.address,
    TEMPORAL_NAMESPACE: servers.temporal.namespace,
    DATABASE_URL: servers.postgres.url,
    PERDURE_QUEUE_PREFIX: prefix,
  });
  const startWorker = (env: Readonly<Record<string, string>> = {}): WorkerProcess => {
    const worker = startWorkerProcess(folder, { ...environment(), PERDURE_TURNS_PER_EXECUTION: '3', ...env });
    workers.push(worker);
    return worker;
  };
  const send = (key: string, text: string) => client.send('letter-17', text, { agent: 'support', tenant, key });
  const forget = (id: string): Promise<void> => deleteExecution(connection, servers.temporal.namespace, id);

  it('gives three messages, each sent twice, three answers of one run, whoever is killed between', async () => {
    let worker = startWorker();
    const replies: Reply[] = [];
    for (const [key, text] of MESSAGES) {
      // The worker dies when the paid reply is there and nobody has heard of it.
      const next = startWorker({ PERDURE_FAILPOINTS: 'model:replied=kill' });
      await next.ready;
      await worker.kill();
      const sent = await send(key, text);
      await next.ended;
      worker = startWorker();
      const again = await send(key, text);
      assert.equal(again.agentRunId, sent.agentRunId);
      const [first, second] = await Promise.all([sent.reply(), again.reply()]);
      assert.deepEqual(second, first);
      replies.push(first);
    }
    assert.deepEqual(
      replies.map((reply) => [reply.kind, /A-\d+/.exec(textOf(reply))?.[0]]),
      [
        ['answered', 'A-1090'],
        ['answered', 'A-1012'],
        ['answered', 'A-1090'],
      ],
    );
    const [runId, ...others] = [...new Set(replies.map(({ agentRunId }) => agentRunId))];
    assert.ok(runId !== undefined && others.length === 0);
    assert.equal((await reader.runs(tenant)).length, 1);
    const said = (await reader.transcript(tenant, runId)).filter((part) => part.kind === 'user-text');
    assert.deepEqual(
      said.map((part) => part.kind === 'user-text' && part.text),
      MESSAGES.map(([, text]) => text),
    );

    const record = await reader.run(tenant, runId);
    const handle = client.run(runId, { tenant });
    await handle.requestStop('that was all');
    await handle.result();
    await forget(runId);
    await worker.kill();
    // No worker, no execution: the rows alone know the replies.
    for (const [index, [key, text]] of MESSAGES.entries()) {
      assert.deepEqual(await (await send(key, text)).reply(), replies[index]);
    }
    assert.equal(await handle.exists(), false);
    assert.equal((await reader.run(tenant, runId))?.turns, record?.turns);
    const shown = await capturedCli(environment())('run', 'show', runId, '--transcript');
    assert.equal(shown.exitCode, 0, shown.said);
    assert.match(shown.out, /cancelled: that was all/);
    assert.match(shown.out, /user: And where is A-1012\? I am Maria Silva\./);
  });

  it('gives the run of a start key and its end after Temporal has forgotten it, whatever else is asked for', async () => {
    startWorker();
    const options = { agent: 'support', input: MESSAGES[0][1], tenant, startKey: 'letter-18' };
    const first = await client.start(options);
    const end = await first.result();
    const answer = await first.answer();
    const timeline = await reader.timeline(tenant, first.id);
    await forget(first.id);
    // What is left answers before anybody starts it again.
    assert.deepEqual(await first.result(), end);
    const kinds: string[] = [];
    for await (const progress of first.follow()) kinds.push(progress.kind);
    assert.equal(kinds.at(-1), 'ended');
    const shown = await capturedCli(environment())('run', 'show', first.id, '--json');
    assert.deepEqual((JSON.parse(shown.out) as { answer: string }).answer, answer);

    const others = [options, { ...options, input: 'Something else.' }, { ...options, agent: 'nobody' }];
    for (const other of others) {
      const again = await client.start(other);
      assert.equal(again.id, first.id);
      assert.deepEqual(await again.result(), end);
      assert.equal(await again.answer(), answer);
    }
    assert.deepEqual(
      (await reader.timeline(tenant, first.id)).map(({ id }) => id),
      timeline.map(({ id }) => id),
    );
    const transcript = await reader.transcript(tenant, first.id);
    assert.equal(
      transcript.some((part) => part.kind === 'user-text' && part.text === 'Something else.'),
      false,
    );
    // The new execution is forgotten in its turn, and the run stays.
    await forget(first.id);
    assert.deepEqual(await first.result(), end);
    assert.match((await capturedCli(environment())('run', 'show', first.id)).out, /completed/);
  });
});
