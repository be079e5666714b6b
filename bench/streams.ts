/**
 * Goal: what streaming adds to a token between its provider and a reader, at 200 streams beside the ledger's load, against one stream.
 * Method: a provider server that writes the time into each token, a process that calls models as a worker does, a process that reads, and a
 * PostgreSQL of their own. Times are of the machine's one monotonic clock.
 *
 * Options: `--streams 200`, `--token-ms 20`, `--seconds 15`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../src/cli/dev-stack/free-port.ts';
import { startPostgres } from '../src/cli/dev-stack/start-postgres.ts';
import { openDatabase } from '../src/stores/database.ts';
import { migrate } from '../src/stores/migrate.ts';
import { createStores } from '../src/stores/stores.ts';
import { admitRun, randomId } from '../test/activities/stores/support.ts';
import { printTable } from '../test/support/crash/table.ts';
import { endWithTests, testFolder } from '../test/support/servers.ts';
import {
  type CallerOrder,
  type CallerResult,
  type ReaderOrder,
  type ReaderResult,
  type Scene,
  usedCpuMs,
  usedCpuMsOf,
} from './streams/orders.ts';

/** Milliseconds in which all streams begin at once: calls do so after an outage, and seldom else. */
const BEGINNING_MS = 2_000;

/** What a token may take from the provider to the reader at p99, in milliseconds. */
const GOAL_MS = 50;

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '200' },
    'token-ms': { type: 'string', default: '20' },
    seconds: { type: 'string', default: '15' },
  },
});
const [streams, tokenMs, seconds] = [Number(values.streams), Number(values['token-ms']), Number(values.seconds)];

const folder = await testFolder();
const postgres = await startPostgres({
  dataDir: join(folder, 'postgres'),
  port: await freePort(0),
  onSpawn: (server) => endWithTests(folder, server),
});
const db = openDatabase(postgres.url, () => undefined);
await migrate(db);
const provider = await startPacedProvider();
const caller = fork(join(import.meta.dirname, 'streams/caller.ts'));
const reader = fork(join(import.meta.dirname, 'streams/reader.ts'));

const rows: string[][] = [
  [
    'streams',
    'ledger',
    'tokens',
    'tokens/s',
    'p50 ms',
    'p99 ms',
    'p99 after 2 s',
    'max ms',
    'gaps',
    'ledger calls/s',
    'cores: provider',
    'caller',
    'reader',
    'database',
  ],
];
// Code that runs for the first time is slower; nobody reads this one.
await play(Math.min(streams, 20), 20, 3);
const [alone] = [await play(1, 0, seconds)];
const loaded = await play(1, 20, seconds);
const many = await play(streams, 20, seconds);
console.log(
  `${cpus()[0]?.model ?? 'a machine'}, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`,
);
console.log(`a token each ${tokenMs} ms in each stream, for ${seconds} s`);
printTable('added time from the provider’s send to the reader’s receive', rows);
const [p99Of, ofOne] = [many.p99, Math.max(loaded.p99, alone.p99)];
console.log(
  `p99 of ${streams} streams: ${p99Of.toFixed(1)} ms (goal ${GOAL_MS} ms), ${(p99Of / ofOne).toFixed(1)} × that of one stream`,
);
for (const child of [caller, reader]) child.kill();
provider.close();
await db.destroy();
process.exit(0);

type Figures = { readonly p50: number; readonly p99: number };

async function play(count: number, ledgerLoops: number, forSeconds: number): Promise<Figures> {
  const tenant = randomId('tenant');
  const stores = { ...createStores(db), tenant, close: async () => undefined };
  const cap = { costPico: '1000000000000000', tokens: 1_000_000_000 };
  const admit = (number: number) => Promise.all(Array.from({ length: number }, () => admitRun(stores, cap)));
  const [runIds, ledgerIds] = [await admit(count), await admit(ledgerLoops)];
  const tokens = Math.round((forSeconds * 1_000) / tokenMs);
  provider.set({ tokens, tokenMs });
  const scene: Scene = { databaseUrl: postgres.url, tenant, runIds, tokens };
  const heard = ask<ReaderResult>(reader, {
    ...scene,
    beginning: BEGINNING_MS / tokenMs,
    patienceMs: (forSeconds + 20) * 1_000,
  } satisfies ReaderOrder);
  await once(reader, 'message');
  const [startedCpuMs, startedDatabaseMs] = [usedCpuMs(), usedCpuMsOf(postgres.pid)];
  const called = ask<CallerResult>(caller, { ...scene, ledgerIds, baseUrl: provider.baseUrl } satisfies CallerOrder);
  const [{ latenciesMs, laterMs, gaps, cpuMs: readCpuMs }, { ledgerCalls, callMs, cpuMs: calledCpuMs }] =
    await Promise.all([heard, called]);
  const sorted = latenciesMs.toSorted((one, other) => one - other);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  const later = laterMs.toSorted((one, other) => one - other);
  const laterP99 = later[Math.floor(later.length * 0.99)] ?? Number.NaN;
  const shown = [at(0.5), at(0.99), laterP99, at(1)].map((ms) => ms.toFixed(1));
  const rates = [(sorted.length / (callMs / 1_000)).toFixed(0), (ledgerCalls / (callMs / 1_000)).toFixed(0)];
  const [tokenRate = '', ledgerRate = ''] = rates;
  const cores = [usedCpuMs() - startedCpuMs, calledCpuMs, readCpuMs, usedCpuMsOf(postgres.pid) - startedDatabaseMs].map(
    (ms) => (ms / callMs).toFixed(2),
  );
  if (forSeconds === seconds) {
    const load = ledgerLoops === 0 ? 'idle' : `${ledgerLoops} at once`;
    rows.push([
      String(count),
      load,
      `${sorted.length} of ${count * tokens}`,
      tokenRate,
      ...shown,
      String(gaps),
      ledgerRate,
      ...cores,
    ]);
  }
  return { p50: at(0.5), p99: at(0.99) };
}

async function ask<Result>(child: ChildProcess, order: CallerOrder | ReaderOrder): Promise<Result> {
  const answer = new Promise<Result>((resolve, reject) => {
    child.on('message', function listen(message: { readonly result?: Result }) {
      if (message.result === undefined) return;
      child.off('message', listen);
      resolve(message.result);
    });
    child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)));
  });
  child.send(order);
  return answer;
}

/** Speaks OpenAI's stream, a token each few milliseconds, and says in each when it was sent. */
async function startPacedProvider() {
  let pace = { tokens: 0, tokenMs: 20 };
  const server = createServer((request, response) => {
    request.resume().on('end', () => void speak(response, pace));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    set: (next: typeof pace): void => {
      pace = next;
    },
    close: (): void => server.closeAllConnections(),
  };
}

async function speak(
  response: ServerResponse,
  { tokens, tokenMs: everyMs }: { tokens: number; tokenMs: number },
): Promise<void> {
  const head = { id: 'r', object: 'chat.completion.chunk', model: 'paced' };
  const write = (choice: object, more: object = {}): void => {
    response.write(
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, finish_reason: null, ...choice }], ...more })}\n\n`,
    );
  };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  // Streams do not begin in step.
  await new Promise((resolve) => setTimeout(resolve, Math.random() * everyMs));
  for (let token = 0; token < tokens; token += 1) {
    write({ delta: { content: `${process.hrtime.bigint()};` } });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  write(
    { delta: {}, finish_reason: 'stop' },
    { usage: { prompt_tokens: 1, completion_tokens: tokens, total_tokens: tokens + 1 } },
  );
  response.end('data: [DONE]\n\n');
}
