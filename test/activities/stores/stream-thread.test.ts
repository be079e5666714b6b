// Goal: the thread of a worker process carries what models say, and neither its failure nor that of the database reaches a call.
// Method: real threads on the real PostgreSQL; one is given an order that it cannot read, another a database that is not there.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { hear } from '../../../src/domain/stream/hear.ts';
import { type Delta, type ReplyStreams, STREAM_START } from '../../../src/domain/stream/stream.ts';
import { createStreamReader } from '../../../src/stores/stream-reader.ts';
import { startStreamThread } from '../../../src/workers/start-stream-thread.ts';
import { until } from '../../support/crash/until.ts';
import { startTestServers } from '../../support/servers.ts';
import { openTestStores, randomId, type TestStores } from './support.ts';

describe('startStreamThread', () => {
  let stores: TestStores;
  let url: string;
  const threads: ReplyStreams[] = [];

  before(async () => {
    stores = await openTestStores();
    url = (await startTestServers()).postgres.url;
  });

  after(async () => {
    await Promise.all(threads.map((thread) => thread.close()));
    await stores?.close();
  });

  const startThread = (place = url): { streams: ReplyStreams; troubles: string[] } => {
    const troubles: string[] = [];
    const streams = startStreamThread(place, (error) => troubles.push((error as Error).message));
    threads.push(streams);
    return { streams, troubles };
  };
  const textOf = async (runId: string): Promise<string> => {
    const look = await createStreamReader(stores.db, stores.transcripts, null).look(
      stores.tenant,
      runId,
      STREAM_START,
      'chunks',
    );
    const { told } = hear(STREAM_START, look);
    return told.map((each) => (each.kind === 'delta' ? each.text : `[${each.kind}]`)).join('');
  };

  it('carries the words of many replies, each in its order', async () => {
    const { streams, troubles } = startThread();
    const runIds = Array.from({ length: 20 }, () => randomId('run'));
    const replies = runIds.map((runId) => streams.open(stores.tenant, runId, 1));
    for (let word = 0; word < 50; word += 1) {
      for (const [at, { say }] of replies.entries()) say(text(`${at}.${word} `));
      if (word % 10 === 0) await new Promise(setImmediate);
    }
    for (const { end } of replies) end();
    for (const [at, runId] of runIds.entries()) {
      const whole = Array.from({ length: 50 }, (_, word) => `${at}.${word} `).join('');
      await until('all is written', async () => (await textOf(runId)) === whole);
    }
    assert.deepEqual(troubles, []);
  });

  it('writes the last words of a process that stops', async () => {
    const { streams } = startThread();
    const runId = randomId('run');
    streams.open(stores.tenant, runId, 1).say(text('so long'));
    await streams.close();
    assert.equal(await textOf(runId), 'so long');
  });

  it('is replaced when it fails: the reply under way ends there, and the next one is carried', async () => {
    const { streams, troubles } = startThread();
    const [broken, next] = [randomId('run'), randomId('run')];
    const first = streams.open(stores.tenant, broken, 1);
    first.say(text('one '));
    await until('the first words are written', async () => (await textOf(broken)) === 'one ');
    first.say(null as unknown as Delta);
    await until('the thread has failed', async () => troubles.length > 0);
    first.say(text('two'));
    first.end();
    streams.open(stores.tenant, next, 1).say(text('three'));
    await until('the next reply is written', async () => (await textOf(next)) === 'three');
    assert.equal(await textOf(broken), 'one ');
  });

  it('tells of a database that is not there, and takes what is said all the same', async () => {
    const { streams, troubles } = startThread('postgres://nobody@127.0.0.1:1/nothing');
    const { say, end } = streams.open(stores.tenant, randomId('run'), 1);
    say(text('to nobody'));
    end();
    await until('somebody is told', async () => troubles.length > 0);
    assert.match(troubles[0] ?? '', /ECONNREFUSED/);
  });

  it('keeps no process alive', async () => {
    const child = fork(new URL('stream-thread-process.ts', import.meta.url), [url, randomId('run')]);
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0);
  });
});

function text(words: string): Delta {
  return { kind: 'text', text: words };
}
