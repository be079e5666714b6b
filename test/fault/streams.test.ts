// Goal: whoever reads along ends with one whole answer and no word twice when the worker is killed in the middle of it.
// Method: kills a real worker while a provider says its words one after the other, and reads along in this process.
import assert from 'node:assert/strict';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import { createClient, type StreamProgress } from '../../src/client/index.ts';
import { openRunReader } from '../../src/stores/run-reader.ts';
import { type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { providerEnvironment } from '../support/crash/model-answer.ts';
import { until } from '../support/crash/until.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';

const STORY =
  'Once upon a time there was a worker that did not mind to be killed. It came back, and nobody had to wait.';

describe('a stream whose worker was killed', function () {
  this.timeout(120_000);
  let lab: Lab;
  let provider: ProviderServer;
  let reader: ReturnType<typeof openRunReader>;
  let connection: ReturnType<typeof connectLocally>;
  let env: Record<string, string>;

  before(async () => {
    const servers = await startTestServers();
    lab = await openLab(servers);
    provider = await startProviderServer();
    provider.always({ kind: 'reply', text: STORY, pieceMs: 40 });
    env = providerEnvironment(provider.baseUrl);
    reader = openRunReader(servers.postgres.url);
    connection = connectLocally(servers.temporal.address);
  });

  after(async () => {
    await lab?.close();
    await reader?.close();
    await connection?.close();
    await provider?.close();
  });

  /** Reads a run along; the list grows while it is read. */
  const readAlong = async (handle: Handle): Promise<{ told: StreamProgress[]; done: Promise<void> }> => {
    const { temporal } = await startTestServers();
    const client = createClient({ connection, namespace: temporal.namespace, reader });
    const told: StreamProgress[] = [];
    const follow = async (): Promise<void> => {
      for await (const progress of client.run(handle.workflowId, { tenant: TENANT }).stream()) told.push(progress);
    };
    return { told, done: follow() };
  };

  it('takes back what was said, and tells the next attempt from its beginning to one whole answer', async () => {
    const group = lab.group('killed');
    const worker = group.worker('', env);
    await worker.ready;
    const { told, done } = await readAlong(await group.start({ turns: [] }));
    await until('five pieces were told', () => told.length >= 5);
    await worker.kill();
    const before = textOf(told);
    await group.worker('', env).ready;
    await done;
    await group.close();
    const [first = '', second = ''] = textOf(told).split('<reset>');
    assert.ok(STORY.startsWith(first) && first.length >= before.length && first.length < STORY.length, first);
    assert.equal(second, `${STORY}<end>`);
    assert.equal(told.filter(({ kind }) => kind === 'reset').length, 1);
    const end = told.at(-1);
    assert.equal(end?.kind === 'end' && end.text, STORY);
  });
});

function textOf(told: readonly StreamProgress[]): string {
  return told.map((each) => (each.kind === 'delta' ? each.text : `<${each.kind}>`)).join('');
}
