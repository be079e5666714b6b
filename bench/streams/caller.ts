// Calls models as a worker does: each call is read as a stream and told to readers, while other calls reserve and settle.
import { setTimeout as sleep } from 'node:timers/promises';
import { invokeModel } from '../../src/activities/model/invoke-model.ts';
import { createModels } from '../../src/activities/model/providers.ts';
import { openDatabase } from '../../src/stores/database.ts';
import { createStores, type Stores } from '../../src/stores/stores.ts';
import { startStreamThread } from '../../src/workers/start-stream-thread.ts';
import { newObservation, randomId } from '../../test/activities/stores/support.ts';
import { type CallerOrder, type CallerResult, usedCpuMs } from './orders.ts';

/** Milliseconds that a call of the ledger's load lasts. */
const CALL_MS = 50;

process.on('message', (order: CallerOrder) => {
  void call(order).then((result) => process.send?.({ result }));
});

async function call(order: CallerOrder): Promise<CallerResult> {
  const { databaseUrl, tenant, runIds, ledgerIds, ledgerMs, beginMs, baseUrl } = order;
  const stores = createStores(openDatabase(databaseUrl, () => undefined));
  const streams = startStreamThread(databaseUrl, console.error);
  const env = { PERDURE_MODEL_BASE_URL: baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };
  const models = createModels({ env, rehearsals: new Map(), readFile: () => '' });
  const model = await models.resolve({
    id: 'openai-compatible:paced',
    outputTokensMax: 1_000_000,
    contextTokensMax: 1_000_000,
  });
  const request = {
    instructions: 'Speak.',
    parts: [{ kind: 'user-text', text: 'Go.' }],
    tools: [],
    outputTokensMax: 1_000_000,
  } as const;
  const [startedMs, startedCpuMs] = [performance.now(), usedCpuMs()];
  let isOver = false;
  const load = ledgerIds.map((runId) => settleCalls(stores, tenant, runId, ledgerMs, () => isOver));
  await Promise.all(
    runIds.map(async (runId, at) => {
      await sleep((beginMs * at) / runIds.length);
      const stream = streams.open(tenant, runId, 1);
      await invokeModel(model, request, new AbortController().signal, stream.say);
      stream.end();
      streams.settled(runId);
    }),
  );
  const [callMs, cpuMs] = [performance.now() - startedMs, usedCpuMs() - startedCpuMs];
  isOver = true;
  const ledgerCalls = (await Promise.all(load)).reduce((sum, calls) => sum + calls, 0);
  await streams.close();
  await stores.db.destroy();
  return { ledgerCalls, callMs, cpuMs };
}

/** Reserves and settles a call of its own turn each few milliseconds; one that is late is not made up for. */
async function settleCalls(
  stores: Stores,
  tenant: string,
  runId: string,
  everyMs: number,
  isOver: () => boolean,
): Promise<number> {
  let calls = 0;
  let dueMs = performance.now() + Math.random() * everyMs;
  while (!isOver()) {
    await sleep(Math.max(0, dueMs - performance.now()));
    dueMs = Math.max(dueMs + everyMs, performance.now());
    calls += 1;
    const reservation = {
      id: randomId('call'),
      worstPico: 1_000n,
      worstTokens: 10,
      unusableMax: 1_000_000,
      unansweredMax: 1_000_000,
    };
    const opened = await stores.modelCalls.reserve(tenant, reservation, newObservation(runId, calls, 'model'));
    if (opened.kind !== 'reserved') throw new Error(`the ledger said ${opened.kind}`);
    await sleep(CALL_MS);
    const attempt = { runId, turn: calls, reservationId: reservation.id, observation: opened.observation };
    const charge = { kind: 'settled', costPico: 10n, tokens: 5 } as const;
    await stores.modelCalls.settle(tenant, attempt, charge, { outcome: 'failed', cause: 'model-error' }, null);
  }
  return calls;
}
