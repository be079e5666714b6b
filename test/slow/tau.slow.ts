// Goal: all published tasks of customers come out right on every wire, also where tools lose replies or refuse and workers are killed.
// Method: as in the sample of the default suite, with all cases; then faults of the tool server, then kill -9 of worker processes.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectToTemporal } from '../../src/runtime/connection.ts';
import { createClient } from '../../src/client/index.ts';
import { openRunReader } from '../../src/stores/run-reader.ts';
import { startTestPlatform, type TestPlatform } from '../../src/testing/index.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/crash/worker-process.ts';
import { startTestServers, testFolder } from '../support/servers.ts';
import { tauAgentsFolder } from '../support/tau/agents-folder.ts';
import { DOMAINS, hasTauCases, tauCases } from '../support/tau/cases.ts';
import {
  assertMadeOnce,
  assertWrittenOnce,
  goldCalls,
  inParallel,
  playCase,
  type Stage,
} from '../support/tau/play-case.ts';
import { startTauServers, type TauServers, type Wire, WIRES } from '../support/tau/servers.ts';
import { tauAgent } from '../support/tau/tau-agent.ts';

const wires = Object.keys(WIRES) as readonly Wire[];

/** Runs at once: more only wait for each other. */
const AT_ONCE = 8;

/** Milliseconds that a worker lives before it is killed: enough to begin its work and too little to finish it. */
const LIVES_MS = [1_500, 700, 2_500, 1_100, 1_900, 900];

(hasTauCases ? describe : describe.skip)('all tasks of customers (PERDURE_CASES)', function () {
  this.timeout(600_000);
  const cases = DOMAINS.flatMap(tauCases);
  let servers: TauServers;

  before(async () => {
    servers = await startTauServers();
  });
  after(() => servers?.close());

  describe('by workers that live', () => {
    let platform: TestPlatform;
    let stage: Stage;

    before(async () => {
      const agents = DOMAINS.flatMap((domain) =>
        wires.map((wire) => tauAgent(domain, `${domain}-${wire}`, WIRES[wire])),
      );
      platform = await startTestPlatform({ agents, env: servers.env });
      const { client, reader } = platform;
      stage = { client, reader, servers, agentOf: (domain, wire) => `${domain}-${wire}` };
    });
    after(() => platform?.stop());

    for (const wire of wires) {
      it(`are done on the wire ${wire}, each call once and in order (${cases.length})`, async () => {
        await inParallel(cases, AT_ONCE, async (each) => {
          const { ledger } = await playCase(stage, each, wire);
          assertMadeOnce(each, wire, ledger);
        });
        assert.deepEqual(servers.refused(), []);
      });
    }

    for (const fault of ['lose', 'err'] as const) {
      it(`are written once where ${fault === 'lose' ? 'the reply of a write is lost' : 'a write is answered with 503'}`, async () => {
        const struck = cases.flatMap((each, index) => {
          const writes = each.actions.filter(({ mutates }) => mutates === true);
          const [first] = writes;
          if (first === undefined) return [];
          const at = goldCalls(each).findIndex(({ name }) => name === first.name);
          return [{ each, wire: wires[index % wires.length] ?? 'chat', at }];
        });
        await inParallel(struck, AT_ONCE, async ({ each, wire, at }) => {
          const { ledger } = await playCase(stage, each, wire, { [fault]: String(at), slow: '5' });
          assertWrittenOnce(each, wire, ledger);
          // What was lost had run, so it came twice; what was refused with 503 is not in the ledger.
          const extra = fault === 'lose' ? 1 : 0;
          assert.equal(ledger.length, goldCalls(each).length + extra, each.id);
          assert.equal(ledger.filter(({ ran }) => !ran).length, extra, each.id);
        });
      });
    }
  });

  describe('by workers that are killed', () => {
    for (const wire of wires) {
      it(`are written once on the wire ${wire}`, async () => {
        const { temporal, postgres } = await startTestServers();
        const folder = await testFolder();
        const prefix = `tau-${wire}-${Date.now().toString(36)}`;
        const env = {
          ...servers.env,
          DATABASE_URL: postgres.url,
          TEMPORAL_ADDRESS: temporal.address,
          TEMPORAL_NAMESPACE: temporal.namespace,
          PERDURE_QUEUE_PREFIX: prefix,
          PERDURE_AGENTS_DIR: await tauAgentsFolder(),
          PERDURE_LOG_LEVEL: 'info',
          PERDURE_CASES: process.env['PERDURE_CASES'] ?? '../shared/cases',
          TAU_MODEL: WIRES[wire],
        };
        const connection = await connectToTemporal({
          address: temporal.address,
          channelArgs: { 'grpc.enable_http_proxy': 0 },
        });
        const reader = openRunReader(postgres.url);
        const { namespace } = temporal;
        const client = createClient({
          connection,
          namespace,
          reader,
          taskQueue: `${prefix}-agents`,
          principal: 'tester',
        });
        const stage: Stage = { client, reader, servers, agentOf: (domain) => domain };
        const chosen = cases
          .filter(({ actions }) => actions.some(({ mutates }) => mutates === true))
          .filter((_, at) => at % 4 === 0);
        const killed = { count: 0, isOver: false };
        const workers = keepKilling(() => startWorkerProcess(folder, env), killed);
        try {
          await Promise.all(
            chosen.map(async (each) => {
              const { ledger } = await playCase(stage, each, wire, { slow: '150' }, `${wire}-killed`);
              assertWrittenOnce(each, wire, ledger);
            }),
          );
          assert.ok(killed.count >= Math.min(2, chosen.length / 8), `${killed.count} workers were killed`);
        } finally {
          killed.isOver = true;
          await workers;
          await reader.close();
          await connection.close();
        }
      });
    }
  });
});

/** Starts workers one after the other, and kills all but the last in the middle of their work. */
async function keepKilling(
  start: () => WorkerProcess,
  killed: { count: number; readonly isOver: boolean },
): Promise<void> {
  for (const lifeMs of LIVES_MS) {
    const worker = start();
    await worker.ready;
    await sleep(lifeMs);
    await worker.kill();
    if (killed.isOver) return;
    killed.count += 1;
  }
  const last = start();
  while (!killed.isOver) await sleep(100);
  await last.terminate();
}
