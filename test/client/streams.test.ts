// Goal: whoever reads along has every word once, in order, and the whole answer at last, and the run's history is none the larger for it.
// Method: real servers and workers, a provider that says its words one after the other, readers that come late, go and come back.
import assert from 'node:assert/strict';
import type { RunHandle, StreamPosition, StreamProgress } from '../../src/client/index.ts';
import { openRunReader } from '../../src/stores/run-reader.ts';
import { startTestPlatform, type TestPlatform } from '../../src/testing/start-test-platform.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../support/database-proxy.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';
import { createClient } from '../../src/client/index.ts';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';

const STORY =
  'Once upon a time there was a worker that did not mind to be killed. It came back, and nobody had to wait.';

describe('client: streams', function () {
  this.timeout(120_000);
  let provider: ProviderServer;
  let platform: TestPlatform;
  let silent: TestPlatform;
  let proxy: DatabaseProxy;

  before(async () => {
    provider = await startProviderServer();
    const paid = { id: 'openai-compatible:paced', outputTokensMax: 500, contextTokensMax: 100_000 };
    const agents = [testAgent('teller', { models: { standard: paid }, tools: [lookupTool('look')] })];
    const env = { PERDURE_MODEL_BASE_URL: provider.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };
    platform = await startTestPlatform({ agents, env });
    silent = await startTestPlatform({ agents, env: { ...env, PERDURE_STREAMING: 'off' } });
    proxy = await startDatabaseProxy((await startTestServers()).postgres.url);
  });

  beforeEach(() => provider.always({ kind: 'reply', text: STORY, pieceMs: 10 }));

  after(async () => {
    await platform?.stop();
    await silent?.stop();
    await proxy?.close();
    await provider?.close();
  });

  it('tells a reply word by word while it is said, then the whole of it once', async () => {
    const run = await platform.start('teller', 'Tell.');
    const told: StreamProgress[] = [];
    let saidBeforeEnd = '';
    for await (const progress of run.stream()) {
      told.push(progress);
      if (progress.kind === 'delta' && provider.ledger.at(-1)?.delivered === false) saidBeforeEnd += progress.text;
    }
    assert.ok(saidBeforeEnd.length > STORY.length / 4, `${saidBeforeEnd.length} characters came while it was said`);
    assert.equal(textOf(told), `${STORY}<end>`);
    const end = told.at(-1);
    assert.equal(end?.kind === 'end' && end.isAnswer && end.text, STORY);
  });

  it('goes on from every place where a reader left, without a word too many', async () => {
    const run = await platform.start('teller', 'Tell.');
    const whole = await collect(run);
    const text = async (after: StreamPosition): Promise<string> => textOf(await collect(run, after));
    // The run is over: a reader that comes now has the answer, and one that had it has nothing more.
    assert.equal(await text({ turn: 1, attempt: 0, sequence: 0 }), '<end>');
    const positions = whole.flatMap((progress) => (progress.kind === 'delta' ? [progress.position] : []));
    for (const [index, position] of positions.entries()) {
      const rest = whole.slice(index + 1);
      assert.equal(await text(position), textOf(rest));
    }
    assert.equal(await text(whole.at(-1)?.position ?? positions[0]!), '');
  });

  it('tells a reader that comes and goes while it is said what it lacks', async () => {
    const run = await platform.start('teller', 'Tell.');
    let position: StreamPosition | undefined;
    const told: StreamProgress[] = [];
    while (told.at(-1)?.kind !== 'end') {
      let count = 0;
      for await (const progress of run.stream(position === undefined ? {} : { after: position })) {
        told.push(progress);
        position = progress.position;
        count += 1;
        if (count === 3) break;
      }
    }
    assert.equal(textOf(told), `${STORY}<end>`);
  });

  it('tells of every turn, and of the text beside tool calls', async () => {
    provider.next(
      { kind: 'reply', text: 'I look.', toolCalls: [{ name: 'look', arguments: { id: 'a' } }], pieceMs: 5 },
      { kind: 'reply', reasoning: 'So it is there.', text: 'It is there.', pieceMs: 5 },
    );
    const run = await platform.start('teller', 'Look.');
    const told = await collect(run);
    assert.equal(textOf(told, 'text'), 'I look.<end>It is there.<end>');
    assert.equal(textOf(told, 'reasoning'), '<end>So it is there.<end>');
    const ends = told.flatMap((progress) => (progress.kind === 'end' ? [[progress.turn, progress.isAnswer]] : []));
    assert.deepEqual(ends, [
      [1, false],
      [2, true],
    ]);
  });

  it('takes back what an attempt said that broke off, and tells the next one from its beginning', async () => {
    provider.next({ kind: 'cut', reply: { text: STORY }, afterChunks: 12, end: 'clean' });
    const told = await collect(await platform.start('teller', 'Tell.'));
    assert.equal(partialsOf(told).length, 2);
    assert.equal(partialsOf(told)[1], STORY);
    assert.ok(STORY.startsWith(partialsOf(told)[0] ?? '-'));
    assert.equal(told.filter(({ kind }) => kind === 'reset').length, 1);
  });

  it('goes on when the connections to the database break while it is said', async () => {
    provider.always({ kind: 'reply', text: STORY, pieceMs: 40 });
    const reader = openRunReader(proxy.url);
    const { temporal } = await startTestServers();
    const connection = connectLocally(temporal.address);
    const client = createClient({ connection, namespace: temporal.namespace, reader });
    const { id } = await platform.start('teller', 'Tell.');
    const told: StreamProgress[] = [];
    let cuts = 0;
    for await (const progress of client.run(id, { tenant: platform.tenant }).stream()) {
      told.push(progress);
      if (told.length % 8 !== 0 || progress.kind === 'end') continue;
      proxy.cut();
      cuts += 1;
    }
    await reader.close();
    await connection.close();
    assert.ok(cuts > 1);
    assert.equal(textOf(told), `${STORY}<end>`);
  });

  it('streams the reply to a message, and only that', async () => {
    const options = { agent: 'teller', tenant: platform.tenant };
    for (const words of ['First things first.', 'And this is the second.']) {
      provider.next({ kind: 'reply', text: words, pieceMs: 10 });
      const sent = await platform.client.send('talk', words, options);
      const said: string[] = [];
      const replies: string[] = [];
      for await (const progress of sent.stream()) {
        if (progress.kind === 'delta') said.push(progress.text);
        if (progress.kind === 'reply') replies.push(progress.reply.kind === 'ended' ? '' : progress.reply.text);
      }
      assert.equal(said.join(''), words);
      assert.deepEqual(replies, [words]);
    }
  });

  it('leaves the history as it is, read or not, streamed or not', async () => {
    provider.always({ kind: 'reply', text: STORY });
    const sizes: { events: number; bytes: number }[] = [];
    for (const { on, isRead } of [
      { on: silent, isRead: false },
      { on: platform, isRead: false },
      { on: platform, isRead: true },
    ]) {
      const run = await on.start('teller', 'Tell.');
      if (isRead) await collect(run);
      await run.result();
      sizes.push(await sizeOf(run));
    }
    const [off] = sizes;
    for (const size of sizes) {
      assert.equal(size.events, off?.events);
      // Identities and ids differ from run to run in a few bytes; the story alone has over a hundred.
      assert.ok(Math.abs(size.bytes - (off?.bytes ?? 0)) < 40, JSON.stringify(sizes));
    }
  });

  it('gives the whole answer where streaming is off', async () => {
    const told = await collect(await silent.start('teller', 'Tell.'));
    assert.equal(textOf(told), '<end>');
    assert.equal(told[0]?.kind === 'end' && told[0].text, STORY);
  });

  it('ends where the run is terminated in the middle', async () => {
    provider.always({ kind: 'reply', text: STORY.repeat(20), pieceMs: 20 });
    const run = await platform.start('teller', 'Tell.');
    const told: StreamProgress[] = [];
    for await (const progress of run.stream()) {
      told.push(progress);
      if (told.length === 3) await executionOf(run).then((execution) => execution.terminate());
    }
    assert.equal(told.at(-1)?.kind, 'reset');
  });
});

async function collect(run: RunHandle, after?: StreamPosition): Promise<readonly StreamProgress[]> {
  const told: StreamProgress[] = [];
  for await (const progress of run.stream(after === undefined ? {} : { after })) told.push(progress);
  return told;
}

async function executionOf(run: RunHandle) {
  const { temporal } = await startTestServers();
  const { Client } = await import('@temporalio/client');
  return new Client({
    connection: connectLocally(temporal.address),
    namespace: temporal.namespace,
  }).workflow.getHandle(run.id);
}

async function sizeOf(run: RunHandle): Promise<{ events: number; bytes: number }> {
  const description = await (await executionOf(run)).describe();
  return { events: description.historyLength, bytes: description.historySize ?? 0 };
}

function textOf(told: readonly StreamProgress[], of: 'text' | 'reasoning' = 'text'): string {
  return told.map((each) => (each.kind === 'delta' ? (each.of === of ? each.text : '') : `<${each.kind}>`)).join('');
}

/** What stood there before each reset and the end. */
function partialsOf(told: readonly StreamProgress[]): readonly string[] {
  return textOf(told)
    .split(/<\w+>/)
    .filter((text) => text !== '');
}
