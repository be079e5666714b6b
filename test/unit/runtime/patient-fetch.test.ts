// Goal: a model that is slow to its first byte, or between two, is waited for as long as its caller says.
// Method: real HTTP, from a process whose own limits are shorter than what the server takes.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Dispatcher, getGlobalDispatcher, setGlobalDispatcher } from 'undici';
import { patientFetch } from '../../../src/workers/patient-fetch.ts';

/** undici looks at its limits once a second. */
const SLOW_MS = 2_500;

async function read(fetch: typeof globalThis.fetch, url: string): Promise<string> {
  return (await fetch(url)).text();
}

describe('a patient fetch', function () {
  this.timeout(20_000);
  let server: Server;
  let url: string;
  let usual: Dispatcher;

  before(async () => {
    usual = getGlobalDispatcher();
    setGlobalDispatcher(new Agent({ headersTimeout: 1_000, bodyTimeout: 1_000 }));
    server = createServer((request, response) => {
      const isBody = request.url === '/body';
      if (isBody) response.write('a');
      void sleep(SLOW_MS).then(() => response.end('b'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    setGlobalDispatcher(usual);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('waits for the first byte and between two, where fetch does not', async () => {
    const [head, body, plain] = await Promise.allSettled([
      read(patientFetch, `${url}/head`),
      read(patientFetch, `${url}/body`),
      read(globalThis.fetch, `${url}/head`),
    ]);
    assert.deepEqual(
      [head, body].map((each) => each.status === 'fulfilled' && each.value),
      ['b', 'ab'],
    );
    assert.equal(plain.status, 'rejected');
  });

  it('ends when its caller says so', async () => {
    await assert.rejects(patientFetch(`${url}/head`, { signal: AbortSignal.timeout(200) }), { name: 'TimeoutError' });
  });
});
