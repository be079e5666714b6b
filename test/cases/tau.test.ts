// Goal: tasks of customers come out right on every wire: each call made once, in order, with its arguments, as the tools' own ledger has it.
// Method: a sample of published cases against a provider that plays their calls over HTTP and an MCP server that answers them and counts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { recorded, startTestPlatform, type TestPlatform } from '../../src/testing/index.ts';
import { testFolder } from '../support/servers.ts';
import { DOMAINS, hasTauCases, tauCases, type TauCase } from '../support/tau/cases.ts';
import { assertMadeOnce, goldCalls, inParallel, playCase, type Stage } from '../support/tau/play-case.ts';
import { startTauServers, type TauServers, type Wire, WIRES } from '../support/tau/servers.ts';
import { tauAgent } from '../support/tau/tau-agent.ts';

const SHAPES: readonly ((each: TauCase) => number)[] = [
  ({ actions }) => actions.length,
  ({ actions }) => -actions.length,
  ({ actions }) => actions.filter(({ error }) => error === true).length,
  ({ actions }) => actions.filter(({ mutates }) => mutates === true).length,
  ({ actions }) => actions.length - new Set(actions.map((call) => JSON.stringify([call.name, call.arguments]))).size,
  (each) => each.actions.length - goldCalls(each).length,
];

/** The longest, the shortest, and those with the most errors of tools, writes, repeated calls and invented tools; and one of each domain. */
function sample(): readonly TauCase[] {
  const all = DOMAINS.flatMap(tauCases);
  const most = SHAPES.flatMap((of) => all.toSorted((one, other) => of(other) - of(one)).slice(0, 1));
  const domains = DOMAINS.flatMap((domain) => tauCases(domain).slice(1, 2));
  return [...new Map([...most, ...domains].map((each) => [`${each.domain} ${each.place}`, each])).values()];
}

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
      await inParallel(sample(), 4, async (each: TauCase) => {
        const { ledger } = await playCase(stage, each, wire);
        assertMadeOnce(each, wire, ledger);
      });
      assert.deepEqual(servers.refused(), []);
    });
  }

  it('are played again from their recordings, without a provider', async () => {
    const each = sample().find(({ actions }) => actions.some(({ mutates }) => mutates === true));
    assert.ok(each);
    const { domain } = each;
    const played = await Promise.all(
      wires.map(async (wire) => {
        const { runId } = await playCase(stage, each, wire, {}, `${wire}-recorded`);
        return [`${domain}-${wire}`, recorded(readFileSync(join(recordings, `${runId}.jsonl`), 'utf8'))] as const;
      }),
    );
    const agents = wires.map((wire) => tauAgent(domain, `${domain}-${wire}`, WIRES[wire]));
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
