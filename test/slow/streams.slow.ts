// Goal: a database that goes in the middle of a reply, and a worker that was taken for dead, cost whoever reads along nothing but time.
// Method: kills and restarts a real PostgreSQL, freezes and wakes a worker while a provider says its words, and reads along in this process.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import { createClient, type StreamProgress } from '../../src/client/index.ts';
import { openRunReader } from '../../src/stores/run-reader.ts';
import { type KillableServers, startKillableServers } from '../support/crash/killable-servers.ts';
import { type Handle, type Lab, openLab, TENANT } from '../support/crash/lab.ts';
import { providerEnvironment } from '../support/crash/model-answer.ts';
import { until } from '../support/crash/until.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';

const STORY = 'The database went away in the middle of this. '.repeat(8);

describe('a stream whose database was killed', function () {
  this.timeout(240_000);
  let servers: KillableServers;
  let lab: Lab;
  let provider: ProviderServer;

  before(async () => {
    servers = await startKillableServers();
    lab = await openLab(servers);
    provider = await startProviderServer();
    provider.always({ kind: 'reply', text: STORY, pieceMs: 100 });
  });

  after(async () => {
    await lab?.close();
    await provider?.close();
  });

  it('ends with the whole answer, said by one call', async () => {
    const reader = openRunReader(servers.postgres.url);
    const connection = connectLocally(servers.temporal.address);
    const client = createClient({ connection, namespace: servers.temporal.namespace, reader });
    const group = lab.group('database');
    await group.worker('', providerEnvironment(provider.baseUrl)).ready;
    const run = await group.start({ turns: [] });
    const told: StreamProgress[] = [];
    const follow = async (): Promise<void> => {
      for await (const progress of client.run(run.workflowId, { tenant: TENANT }).stream()) told.push(progress);
    };
    const done = follow();
    await until('five pieces were told', () => told.length >= 5);
    await servers.killable.postgres.kill();
    await sleep(3_000);
    const before = told.length;
    await servers.killable.postgres.restart();
    await until('words are told again', () => told.length > before);
    assert.equal(provider.ledger.at(-1)?.delivered, false, 'the reply is not over yet');
    await done;
    assert.equal(provider.ledger.length, 1);
    const text = textOf(told);
    // What a crash takes with it is a gap: the database does not wait for the disk for words that are in the reply.
    assert.ok(text === `${STORY}<end>` || /^The database.*<gap>.*<end>$/.test(text), text);
    const end = told.at(-1);
    assert.equal(end?.kind === 'end' && end.text, STORY);
    await group.close();
    await reader.close();
    await connection.close();
  });
});

describe('a stream whose worker was frozen and woken', function () {
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

  it('never mixes the words of a worker that was taken for dead with those of the next', async () => {
    const group = lab.group('frozen');
    const stories = ['old '.repeat(30), 'new '.repeat(30)];
    const before = provider.ledger.length;
    provider.always(() => ({ kind: 'reply', text: stories[provider.ledger.length - before] ?? 'newest', pieceMs: 60 }));
    const frozen = group.worker('', env);
    await frozen.ready;
    const run = await group.start({ turns: [] });
    const { told, done } = await readAlong(run);
    await until('five pieces were told', () => told.length >= 5);
    frozen.stop();
    await group.worker('', env).ready;
    await until('the next attempt speaks', () => told.some(({ kind }) => kind === 'reset'));
    frozen.wake();
    await done;
    await group.close();
    const [first = '', second = '', ...more] = textOf(told).split('<reset>');
    assert.match(first, /^(?:old )*o?l?d?$/);
    assert.match(second, /^(?:new )*n?e?w?<end>$/);
    assert.deepEqual(more, []);
    // Whichever of them was kept first counts.
    const end = told.at(-1);
    assert.ok(end?.kind === 'end' && stories.includes(end.text), JSON.stringify(end));
    assert.equal(end.text, await reader.answer(TENANT, run.workflowId));
  });
});

function textOf(told: readonly StreamProgress[]): string {
  return told.map((each) => (each.kind === 'delta' ? each.text : `<${each.kind}>`)).join('');
}
