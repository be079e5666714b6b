// Goal: what a turn adds to Temporal's history, and what it reads from PostgreSQL, does not depend on how long the run is (G5).
// Method: one run of many turns, each with one read of 10 KB, on one worker that reaches the database through a counting proxy.
import assert from 'node:assert/strict';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { startTestServers } from '../support/servers.ts';
import { type CountingProxy, startCountingProxy } from '../support/workflow/counting-proxy.ts';
import { eventBytes, eventsOfTurn, type HistoryEvent, readExecutions } from '../support/workflow/history.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';

/** Six executions. `PERDURE_TEST_TURNS=1000` asks for more. */
const TURNS = Number(process.env['PERDURE_TEST_TURNS'] ?? 300);
const RESULT_BYTES = 10_000;

/** Six events are the floor of one activity, and a turn has two. */
const EVENTS_MAX = 12;
const BYTES_MAX = 2_048;

/** Growth that counters and their longer numbers may bring. */
const TOLERANCE = 0.05;

const USAGE = { inputTokens: 100, outputTokens: 10, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

describe('a turn costs the same however long the run is', () => {
  let platform: Platform;
  let proxy: CountingProxy;
  /** Bytes read from the database when the model was asked, by call. */
  const readAt: number[] = [];

  before(async () => {
    proxy = await startCountingProxy((await startTestServers()).postgres.url);
    const model = scripted(({ call }) => {
      readAt[call] = proxy.bytesRead();
      if (call > TURNS) return { text: 'That was all.', usage: USAGE };
      return { toolCalls: [{ tool: 'lookup', input: { id: `order A-${1_000_000 + call}` } }], usage: USAGE };
    });
    const agent = testAgent('marathon', {
      tools: [lookupTool('lookup', (key) => key.padEnd(RESULT_BYTES, '.'))],
      requirements: { latencyP95Ms: 60_000, costPerRunUsd: 100_000 },
      models: { standard: { id: 'scripted:marathon', outputTokensMax: 1_000, contextTokensMax: 10_000_000 } },
      limits: { turns: TURNS + 1, toolCalls: TURNS, tokens: 1e12 },
    });
    platform = await startPlatform({ agents: [agent], scripts: { marathon: model }, databaseUrl: proxy.url });
  });
  after(async () => {
    await platform.close();
    proxy.close();
  });

  it(`at turn ${TURNS} as at turn 10`, async function () {
    this.timeout(300_000);
    const startedAt = performance.now();
    const handle = await platform.start('marathon', 'Look up everything.');
    const end = await handle.result();
    const seconds = (performance.now() - startedAt) / 1_000;
    assert.deepEqual([end.outcome, end.turns, end.toolCalls], [{ kind: 'completed' }, TURNS + 1, TURNS]);
    const executions = await readExecutions(platform, handle);
    const early = measure(executions, 10);
    const late = measure(executions, TURNS);
    const [earlyRead, lateRead] = [meanRead(readAt, 10), meanRead(readAt, TURNS - 10)];
    console.log(
      [
        `${TURNS} turns in ${seconds.toFixed(1)} s, ${executions.length} executions`,
        `turn 10: ${early.events} events, ${early.bytes} bytes (JSON ${early.jsonBytes}); turn ${TURNS}: ${late.events} events, ${late.bytes} bytes (JSON ${late.jsonBytes})`,
        `read from PostgreSQL per turn: ${earlyRead} bytes around turn 10, ${lateRead} around turn ${TURNS - 10}`,
      ].join('\n      '),
    );
    assert.equal(late.events, early.events);
    assert.ok(early.events <= EVENTS_MAX, `${early.events} events in a turn`);
    assert.ok(late.bytes <= BYTES_MAX, `${late.bytes} bytes in turn ${TURNS}\n${late.detail}`);
    assert.ok(Math.abs(late.bytes / early.bytes - 1) <= TOLERANCE, `${early.bytes} bytes, then ${late.bytes}`);
    assert.ok(lateRead <= earlyRead * (1 + TOLERANCE), `${earlyRead} bytes read a turn, then ${lateRead}`);
  });
});

function measure(executions: readonly HistoryEvent[][], turn: number) {
  const events = executions.map((execution) => eventsOfTurn(execution, turn)).find((found) => found.length > 0) ?? [];
  return {
    events: events.length,
    bytes: events.reduce((sum, event) => sum + eventBytes(event), 0),
    jsonBytes: Buffer.byteLength(JSON.stringify(events)),
    detail: events.map((event) => `${eventBytes(event)} ${JSON.stringify(event)}`).join('\n'),
  };
}

/** The mean of the turns around one, because answers of the database come in batches. */
function meanRead(readAt: readonly number[], turn: number): number {
  const [from = Number.NaN, to = Number.NaN] = [readAt[turn - 5], readAt[turn + 5]];
  return Math.round((to - from) / 10);
}
