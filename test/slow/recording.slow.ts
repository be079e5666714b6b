// Goal: what a killed worker has recorded outlives it, and the run that another worker finished can be played, also by several workers of which one dies.
// Method: worker processes are killed in the middle of a reply, and in the middle of playing; the others go on.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Connection } from '@temporalio/client';
import { connectToTemporal } from '../../src/runtime/connection.ts';
import type { Agent } from '../../src/authoring/index.ts';
import { createClient } from '../../src/client/index.ts';
import { openRunReader } from '../../src/stores/run-reader.ts';
import { recorded, startTestPlatform } from '../../src/testing/index.ts';
import { until } from '../client/platform.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/crash/worker-process.ts';
import { type ProviderServer, refusals, startProviderServer } from '../support/provider-server.ts';
import { startTestServers, testFolder } from '../support/servers.ts';

const agents = fileURLToPath(new URL('../../agents', import.meta.url));

describe('the recording of a worker that is killed', function () {
  this.timeout(240_000);
  let provider: ProviderServer;
  let connection: Connection;
  let reader: ReturnType<typeof openRunReader>;
  const workers: WorkerProcess[] = [];

  after(async () => {
    for (const worker of workers) await worker.kill();
    await provider?.close();
    await reader?.close();
    await connection?.close();
  });

  it('is gone on with by another worker, and played', async () => {
    provider = await startProviderServer();
    const { temporal, postgres } = await startTestServers();
    const folder = await testFolder();
    const recordings = join(folder, 'recordings');
    const prefix = `rec-${Date.now().toString(36)}`;
    const env = {
      DATABASE_URL: postgres.url,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      PERDURE_QUEUE_PREFIX: prefix,
      PERDURE_AGENTS_DIR: agents,
      PERDURE_LOG_LEVEL: 'info',
      PERDURE_RECORD_MODELS: recordings,
      PERDURE_MODEL_BASE_URL: provider.baseUrl,
      OPENAI_API_KEY: 'sk-test-0123456789abcdef',
    };
    const start = async (): Promise<WorkerProcess> => {
      const worker = startWorkerProcess(folder, env);
      workers.push(worker);
      await worker.ready;
      return worker;
    };
    provider.next(
      { kind: 'reply', toolCalls: [{ name: 'listDocuments', arguments: {} }] },
      { kind: 'reply', text: 'Never read.', delayMs: 60_000 },
      { kind: 'reply', text: 'There are documents.' },
    );
    const { address, namespace } = temporal;
    connection = await connectToTemporal({ address, channelArgs: { 'grpc.enable_http_proxy': 0 } });
    reader = openRunReader(postgres.url);
    const first = await start();
    const client = createClient({ connection, namespace, reader, taskQueue: `${prefix}-agents`, principal: 'tester' });
    const input = 'Which documents are there? I am liam@example.com.';
    const run = await client.start({ agent: 'research', input });
    await until(async () => provider.ledger.length === 2, 'the second call');
    await first.kill();
    await start();
    const end = await run.result();
    assert.equal(end.outcome.kind, 'completed');
    const text = readFileSync(join(recordings, `${run.id}.jsonl`), 'utf8');
    const kinds = text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly kind: string }).kind);
    assert.deepEqual(kinds, ['recording', 'asked', 'answered', 'asked', 'asked', 'answered']);
    assert.equal(text.includes('liam'), false);

    const { agent } = (await import(pathToFileURL(join(agents, 'research/agent.ts')).href)) as {
      readonly agent: Agent;
    };
    const model = recorded(text);
    const playing = await startTestPlatform({ agents: [agent], recordings: { research: model } });
    try {
      const again = await playing.start('research', input);
      const { outcome, costPico } = await again.result();
      if (outcome.kind !== 'completed') model.assertUsed();
      assert.deepEqual(outcome, { kind: 'completed' });
      assert.equal(await again.answer(), 'There are documents.');
      model.assertUsed();
      const [told, before] = await Promise.all([
        playing.reader.run(playing.tenant, again.id),
        reader.run('default', run.id),
      ]);
      assert.equal(costPico, end.costPico);
      assert.equal(told?.heldPico, before?.heldPico);
      assert.notEqual(told?.heldPico, '0');
    } finally {
      await playing.stop();
    }
  });

  it('is played by several workers together, also where one of them is killed', async () => {
    provider ??= await startProviderServer();
    const { temporal, postgres } = await startTestServers();
    const folder = await testFolder();
    const prefix = `play-${Date.now().toString(36)}`;
    const env = {
      DATABASE_URL: postgres.url,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      PERDURE_QUEUE_PREFIX: prefix,
      PERDURE_AGENTS_DIR: fileURLToPath(new URL('../support/recorded/agents', import.meta.url)),
      PERDURE_LOG_LEVEL: 'info',
    };
    const start = async (own: Readonly<Record<string, string>>): Promise<WorkerProcess> => {
      const worker = startWorkerProcess(folder, { ...env, ...own });
      workers.push(worker);
      await worker.ready;
      return worker;
    };
    const look = { kind: 'reply', toolCalls: [{ name: 'listDocuments', arguments: {} }] } as const;
    provider.next(refusals.serverError, look, look, refusals.serverError, look, {
      kind: 'reply',
      text: 'There are documents.',
    });
    const { address, namespace } = temporal;
    connection ??= await connectToTemporal({ address, channelArgs: { 'grpc.enable_http_proxy': 0 } });
    reader ??= openRunReader(postgres.url);
    const client = createClient({ connection, namespace, reader, taskQueue: `${prefix}-agents`, principal: 'tester' });
    const input = 'Which documents are there?';
    const recording = await start({
      PERDURE_RECORD_MODELS: folder,
      PERDURE_MODEL_BASE_URL: provider.baseUrl,
      OPENAI_API_KEY: 'sk-test-0123456789abcdef',
    });
    const first = await client.start({ agent: 'research', input });
    assert.deepEqual((await first.result()).outcome, { kind: 'completed' });
    await recording.terminate();
    const asked = provider.ledger.length;

    const played = { RECORDED_MODEL: `recorded:${first.id}`, PERDURE_RECORDINGS_DIR: folder };
    const [one] = await Promise.all([start(played), start(played)]);
    const runs = await Promise.all(Array.from({ length: 12 }, () => client.start({ agent: 'research', input })));
    const ends = Promise.all(runs.map((run) => run.result()));
    await until(async () => (await attemptsOf(runs[0]?.id ?? '')) >= 2, 'the second call of a played run');
    await one?.kill();
    for (const { outcome } of await ends) assert.deepEqual(outcome, { kind: 'completed' });
    assert.equal(provider.ledger.length, asked);
  });

  const attemptsOf = async (run: string): Promise<number> => (await reader.timeline('default', run)).length;
});
