/**
 * Goal: what streaming adds to a token between its provider and a reader, at 200 streams beside the ledger's load, against one stream.
 * Method: a provider server that writes the time into each token, processes that call models as workers do, a process that reads, and a
 * PostgreSQL of their own. Times are of the machine's one monotonic clock.
 *
 * Options: `--streams 200`, `--token-ms 40 --token-ms 20` (one row each), `--seconds 15`, `--workers 1`, `--ledger 100` (reservations with
 * settlements a second), `--begin-ms 2000`.
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

/** What a token may take from the provider to the reader at p99, in milliseconds. */
const GOAL_MS = 50;

/** Runs that share the ledger's load. */
const LEDGER_RUNS = 20;

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '200' },
    // One stream, then as many as are asked for at each of these paces. Anthropic's events have some four tokens, OpenAI's one.
    'token-ms': { type: 'string', multiple: true, default: ['40', '20'] },
    seconds: { type: 'string', default: '15' },
    workers: { type: 'string', default: '1' },
    ledger: { type: 'string', default: '100' },
    // Streams begin one after the other within so many milliseconds; 0 is what follows an outage.
    'begin-ms': { type: 'string', default: '2000' },
  },
});
const [streams, seconds] = [Number(values.streams), Number(values.seconds)];
const paces = values['token-ms'].map(Number);

const folder = await testFolder();
const postgres = await startPostgres({
  dataDir: join(folder, 'postgres'),
  port: await freePort(0),
  onSpawn: (server) => endWithTests(folder, server),
});
const db = openDatabase(postgres.url, () => undefined);
await migrate(db);
const provider = await startPacedProvider();
const callers = Array.from({ length: Number(values.workers) }, () =>
  fork(join(import.meta.dirname, 'streams/caller.ts')),
);
const reader = fork(join(import.meta.dirname, 'streams/reader.ts'));

const rows: string[][] = [
  [
    'streams',
    'workers',
    'ledger',
    'tokens/s each',
    'tokens',
    'p50 ms',
    'p99 ms',
    'max ms',
    'gaps',
    'tokens/s',
    'ledger calls/s',
    'cores: provider',
    'workers',
    'reader',
    'database',
  ],
];
// Code that runs for the first time is slower; nobody reads this one.
await play(Math.min(streams, 20), { ledgerRuns: LEDGER_RUNS, tokenMs: 20, forSeconds: 3 });
rows.length = 1;
const [slowest = 40] = paces;
await play(1, { ledgerRuns: 0, tokenMs: slowest, forSeconds: seconds });
await play(1, { ledgerRuns: LEDGER_RUNS, tokenMs: slowest, forSeconds: seconds });
for (const tokenMs of paces) await play(streams, { ledgerRuns: LEDGER_RUNS, tokenMs, forSeconds: seconds });
console.log(
  `${cpus()[0]?.model ?? 'a machine'}, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`,
);
printTable(
  `added time from the provider’s send to the reader’s receive, for ${seconds} s; the goal is ${GOAL_MS} ms at p99`,
  rows,
);
for (const child of [...callers, reader]) child.kill();
provider.close();
await db.destroy();
process.exit(0);

type Stage = { readonly ledgerRuns: number; readonly tokenMs: number; readonly forSeconds: number };

async function play(count: number, { ledgerRuns, tokenMs, forSeconds }: Stage): Promise<void> {
  const tenant = randomId('tenant');
  const stores = { ...createStores(db), tenant, close: async () => undefined };
  const cap = { costPico: '1000000000000000', tokens: 1_000_000_000 };
  const admit = (number: number) => Promise.all(Array.from({ length: number }, () => admitRun(stores, cap)));
  const [runIds, ledgerIds] = [await admit(count), await admit(ledgerRuns)];
  const tokens = Math.round((forSeconds * 1_000) / tokenMs);
  provider.set({ tokens, tokenMs });
  const scene: Scene = { databaseUrl: postgres.url, tenant, runIds, tokens };
  const heard = ask<ReaderResult>(reader, {
    ...scene,
    patienceMs: (forSeconds + 20) * 1_000,
  } satisfies ReaderOrder);
  await once(reader, 'message');
  const [startedCpuMs, startedDatabaseMs] = [usedCpuMs(), usedCpuMsOf(postgres.pid)];
  const shareOf = (ids: readonly string[], at: number) => ids.filter((_, index) => index % callers.length === at);
  const called = callers.map((worker, at) => {
    const share = {
      runIds: shareOf(runIds, at),
      ledgerIds: shareOf(ledgerIds, at),
      ledgerMs: (1_000 * LEDGER_RUNS) / Number(values.ledger),
      beginMs: Number(values['begin-ms']),
    };
    return ask<CallerResult>(worker, { ...scene, ...share, baseUrl: provider.baseUrl } satisfies CallerOrder);
  });
  const { latenciesMs, gaps, cpuMs: readCpuMs } = await heard;
  const results = await Promise.all(called);
  const callMs = Math.max(...results.map((result) => result.callMs));
  const [ledgerCalls, calledCpuMs] = [
    results.reduce((sum, result) => sum + result.ledgerCalls, 0),
    results.reduce((sum, result) => sum + result.cpuMs, 0),
  ];
  const perSecond = (number: number): string => (number / (callMs / 1_000)).toFixed(0);
  const coresOf = (cpuMs: number): string => (cpuMs / callMs).toFixed(2);
  rows.push([
    String(count),
    String(callers.length),
    ledgerRuns === 0 ? 'idle' : `${values.ledger}/s`,
    String(1_000 / tokenMs),
    `${latenciesMs.length} of ${count * tokens}`,
    quantile(latenciesMs, 0.5),
    quantile(latenciesMs, 0.99),
    quantile(latenciesMs, 1),
    String(gaps),
    perSecond(latenciesMs.length),
    perSecond(ledgerCalls),
    coresOf(usedCpuMs() - startedCpuMs),
    coresOf(calledCpuMs),
    coresOf(readCpuMs),
    coresOf(usedCpuMsOf(postgres.pid) - startedDatabaseMs),
  ]);
}

/** What so great a share of the numbers is not above, with one decimal. */
function quantile(numbers: readonly number[], share: number): string {
  const sorted = numbers.toSorted((low, high) => low - high);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1);
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
