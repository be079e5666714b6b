// Goal: tasks of customers come out right on every wire: each call made once, in order, with its arguments, as the tools' own ledger has it.
// Method: a sample of published cases against a provider that plays their calls over HTTP and an MCP server that answers them and counts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { recorded, startTestPlatform, type TestPlatform } from '../../src/testing/index.ts';
import { testFolder } from '../support/servers.ts';
import { DOMAINS, hasTauCases, tauCases, type TauCase } from '../support/tau/cases.ts';
import { assertMadeOnce, inParallel, playCase, type Stage } from '../support/tau/play-case.ts';
import { startTauServers, type TauServers, type Wire, WIRES } from '../support/tau/servers.ts';
import { tauAgent } from '../support/tau/tau-agent.ts';

/** An empty one, one with errors of tools, an invented tool, a repeated call, several writes, the longest, and two of airlines. */
const SAMPLE = [
  'retail/tau2/0',
  'retail/tau2/2',
  'retail/tau2/21',
  'retail/tau2/105',
  'airline/tau2/0',
  'airline/tau2/1',
];

const wires = Object.keys(WIRES) as readonly Wire[];

(hasTauCases ? describe : describe.skip)('tasks of customers (PERDURE_CASES)', function () {
  this.timeout(120_000);
  let servers: TauServers;
  let platform: TestPlatform;
  let stage: Stage;
  let recordings: string;

  before(async () => {
    servers = await startTauServers();
    const agents = DOMAINS.flatMap((domain) => wires.map((wire) => tauAgent(domain, `${domain}-${wire}`, WIRES[wire])));
    recordings = await testFolder();
    platform = await startTestPlatform({ agents, env: { ...servers.env, PERDURE_RECORD_MODELS: recordings } });
    stage = {
      client: platform.client,
      reader: platform.reader,
      servers,
      agentOf: (domain, wire) => `${domain}-${wire}`,
    };
  });
  after(async () => {
    await platform?.stop();
    await servers?.close();
  });

  for (const wire of wires) {
    it(`are done on the wire ${wire}`, async () => {
      const sample = DOMAINS.flatMap(tauCases).filter(({ id }) => SAMPLE.includes(id));
      assert.equal(sample.length, SAMPLE.length);
      await inParallel(sample, 4, async (each: TauCase) => {
        const { ledger } = await playCase(stage, each, wire);
        assertMadeOnce(each, wire, ledger);
      });
      assert.deepEqual(servers.refused(), []);
    });
  }

  it('are played again from their recordings, without a provider', async () => {
    const [each] = tauCases('retail').filter(({ id }) => id === SAMPLE[0]);
    assert.ok(each);
    const played = await Promise.all(
      wires.map(async (wire) => {
        const { runId } = await playCase(stage, each, wire, {}, `${wire}-recorded`);
        return [`retail-${wire}`, recorded(readFileSync(join(recordings, `${runId}.jsonl`), 'utf8'))] as const;
      }),
    );
    const agents = wires.map((wire) => tauAgent('retail', `retail-${wire}`, WIRES[wire]));
    const { TAU_TOOLS_URL = '', PERDURE_MODEL_CEILING_USD_PER_MTOK = '' } = servers.env;
    const env = { TAU_TOOLS_URL, PERDURE_MODEL_CEILING_USD_PER_MTOK };
    const playing = await startTestPlatform({ agents, recordings: Object.fromEntries(played), env });
    try {
      for (const wire of wires) {
        const again = await playCase({ ...stage, ...playing }, each, wire, {}, `${wire}-played`);
        assertMadeOnce(each, wire, again.ledger);
      }
      for (const [, model] of played) model.assertUsed();
    } finally {
      await playing.stop();
    }
  });
});
