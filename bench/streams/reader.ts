// Reads many streams in one process, as a server does that tells them on to its users, and takes the time of each token.
import { connectLocally } from '../../src/cli/dev-stack/local-connection.ts';
import { createClient } from '../../src/client/index.ts';
import { openRunReader } from '../../src/stores/run-reader.ts';
import { type ReaderOrder, type ReaderResult, usedCpuMs } from './orders.ts';

process.on('message', (order: ReaderOrder) => {
  void read(order).then((result) => process.send?.({ result }));
});

async function read({ databaseUrl, tenant, runIds, tokens, patienceMs }: ReaderOrder): Promise<ReaderResult> {
  const reader = openRunReader(databaseUrl);
  // Nobody is there: streams need no Temporal.
  const connection = connectLocally('127.0.0.1:1');
  const client = createClient({ connection, namespace: 'none', reader });
  const signal = AbortSignal.timeout(patienceMs);
  const latenciesMs: number[] = [];
  let gaps = 0;
  const startedCpuMs = usedCpuMs();
  const streams = runIds.map(async (runId) => {
    let rest = '';
    let count = 0;
    for await (const progress of client.run(runId, { tenant }).stream({ signal })) {
      const now = process.hrtime.bigint();
      if (progress.kind === 'gap') gaps += 1;
      if (progress.kind !== 'delta') continue;
      const sent = (rest + progress.text).split(';');
      rest = sent.pop() ?? '';
      for (const token of sent) {
        latenciesMs.push(Number(now - BigInt(token)) / 1_000_000);
        count += 1;
      }
      if (count >= tokens) return;
    }
  });
  // They listen by then.
  await new Promise((resolve) => setTimeout(resolve, 500));
  process.send?.({ ready: true });
  await Promise.all(streams);
  const cpuMs = usedCpuMs() - startedCpuMs;
  await reader.close();
  await connection.close();
  return { latenciesMs, gaps, cpuMs };
}
