import assert from 'node:assert/strict';
import { z } from 'zod';
import { type Agent, defineAgent, defineTool, type Tool } from '../../../src/authoring/index.ts';
import { canonicalJson, type JsonObject } from '../../../src/domain/json.ts';
import { startTestPlatform } from '../../../src/testing/index.ts';
import { type Behaviour, startProviderServer } from '../provider-server.ts';
import { type Fields, WIRE_DOUBLES, type WireDouble } from '../wire-doubles.ts';
import type { BfclCall, BfclCase, BfclTool } from './cases.ts';

/** Wires that the cases are played on, with what names a model of each. */
export const BFCL_WIRES = {
  openai: 'openai:bfcl',
  'openai-responses': 'openai-responses:bfcl',
  anthropic: 'anthropic:bfcl',
} as const;

export type BfclWire = keyof typeof BFCL_WIRES;

/** How the model calls what a turn needs: in one reply, or in one reply each. */
export type Manner = 'at-once' | 'one-by-one';

export type BfclStage = {
  /** Has the whole conversation of a case, and checks what its tools and its model heard. */
  readonly play: (index: number, wire: BfclWire, manner: Manner) => Promise<void>;
  readonly stop: () => Promise<void>;
};

type Played = { readonly each: BfclCase; readonly manner: Manner; readonly ledger: BfclCall[] };

/** A call that says what is in the ledger of its case, whichever order its members have. */
const keyOf = ({ name, arguments: given }: BfclCall): string => `${name} ${canonicalJson(given)}`;

/** Starts a provider that plays the cases on every wire, and workers whose tools give the recorded results. */
export async function startBfclStage(cases: readonly BfclCase[]): Promise<BfclStage> {
  const provider = await startProviderServer();
  const played = new Map<string, Played>();
  const problems: string[] = [];
  provider.always((request) => {
    const body = request as unknown as Fields;
    const [, tenant = '', turn = ''] =
      [...JSON.stringify(body).matchAll(/\[case ([\w.-]+) turn (\d+)\]/g)].at(-1) ?? [];
    const found = played.get(tenant);
    const wire = WIRE_DOUBLES[tenant.split('__')[1] ?? ''];
    if (found === undefined || wire === undefined) return { kind: 'status', status: 400, body: { error: 'no case' } };
    try {
      return replyOf(found, wire, body, Number(turn));
    } catch (error) {
      problems.push(`${tenant} turn ${turn}: ${String(error)}`);
      return { kind: 'status', status: 400, body: { error: 'not as it should be' } };
    }
  });
  const agents = cases.flatMap((each, index) =>
    Object.entries(BFCL_WIRES).map(([wire, model]) => agentOf(each, nameOf(index, wire), model, played)),
  );
  const platform = await startTestPlatform({
    agents,
    env: {
      OPENAI_API_KEY: 'no-key',
      ANTHROPIC_API_KEY: 'no-key',
      PERDURE_MODEL_BASE_URL: provider.baseUrl,
      ANTHROPIC_BASE_URL: provider.baseUrl,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
    },
  });
  return {
    play: async (index, wire, manner) => {
      const each = cases[index];
      assert.ok(each);
      const tenant = `case-${index}__${wire}`;
      const own: Played = { each, manner, ledger: [] };
      played.set(tenant, own);
      const options = { agent: nameOf(index, wire), tenant };
      for (const [turn, { user, calls }] of each.turns.entries()) {
        const sent = await platform.client.send('talk', `${user} [case ${tenant} turn ${turn}]`, options);
        const reply = await sent.reply();
        const where: string = `${each.id} on ${wire}, turn ${turn}: ${JSON.stringify(reply)} ${problems.join('; ')}`;
        assert.ok('text' in reply && reply.text === `Done with turn ${turn}.`, where);
        const offered: ReadonlySet<string> = new Set(each.tools.map(({ name }) => name));
        const gold: readonly string[] = calls.filter(({ name }) => offered.has(name)).map(keyOf);
        const made = own.ledger.splice(0).map(keyOf);
        assert.deepEqual(
          manner === 'at-once' ? made.toSorted() : made,
          manner === 'at-once' ? gold.toSorted() : gold,
          where,
        );
      }
      assert.deepEqual(problems, []);
    },
    stop: async () => {
      await platform.stop();
      await provider.close();
    },
  };
}

/** Calls what is left of the turn, after a look at what came of the calls before. */
function replyOf({ each, manner }: Played, wire: WireDouble, body: Fields, turn: number): Behaviour {
  const told = wire.toolNames({ ...body, tools: body['tools'] ?? [] });
  assert.deepEqual(
    told.filter((name) => !wire.toolName.test(name)),
    [],
  );
  assert.equal(new Set(told).size, each.tools.length);
  const named = (name: string): string => told[each.tools.findIndex((tool) => tool.name === name)] ?? name;
  const before = each.turns.slice(0, turn).flatMap(({ calls }) => calls);
  const { calls = [] } = each.turns[turn] ?? {};
  const { calls: known, results } = wire.heard(body);
  const ids = [...known.keys()];
  const asked = [...before, ...calls].slice(0, ids.length);
  for (const [index, name] of [...known.values()].entries()) assert.equal(name, named(asked[index]?.name ?? ''));
  assert.equal(asked.length, ids.length);
  assert.deepEqual(new Set(results.map(({ call }) => call)), new Set(ids), 'calls and their results');
  assert.equal(results.length, ids.length);
  for (const { call, result } of results) {
    const gold = asked[ids.indexOf(call)];
    // A tool that is not offered is told to the model, and not called.
    const isOffered = each.tools.some(({ name }) => name === gold?.name);
    assert.ok(!isOffered || gold?.result === undefined || result.includes(gold.result), `${call} has ${result}`);
  }
  const left = calls.slice(ids.length - before.length);
  if (left.length === 0) return { kind: 'reply', text: `Done with turn ${turn}.` };
  const now = manner === 'at-once' ? left : left.slice(0, 1);
  // Every reply counts anew, as some servers do.
  const toolCalls = now.map(({ name, arguments: given }, index) => ({
    id: `call_${index}`,
    name: named(name),
    arguments: given,
  }));
  return { kind: 'reply', toolCalls };
}

function nameOf(index: number, wire: string): string {
  return `case-${index}-${wire}`;
}

function agentOf(each: BfclCase, name: string, id: string, played: ReadonlyMap<string, Played>): Agent {
  // What a conversation does later depends on what it did before; calls of a single message do not depend on each other.
  const effect = each.turns.length > 1 ? 'write' : 'read';
  return defineAgent({
    name,
    owner: 'tests',
    purpose: 'Plays a published case.',
    requirements: { latencyP95Ms: 600_000, costPerRunUsd: 1_000 },
    instructions: 'Do what you are asked.',
    models: { standard: { id, outputTokensMax: 1_000, contextTokensMax: 1_000_000 } },
    limits: { turns: 500, toolCalls: 1_000 },
    tools: each.tools.map((tool) => testTool(tool, effect, played)),
  });
}

function testTool(
  { name, description, parameters }: BfclTool,
  effect: 'read' | 'write',
  played: ReadonlyMap<string, Played>,
): Tool {
  const tool = defineTool({
    name: 'published',
    version: '1.0.0',
    description,
    input: z.record(z.string(), z.json()),
    output: z.string(),
    owner: 'tests',
    effect,
    run: async (input, { tenant }) => {
      const own = played.get(tenant);
      assert.ok(own, tenant);
      const call = { name, arguments: input as JsonObject };
      own.ledger.push(call);
      const known = own.each.turns.flatMap(({ calls }) => calls).find((gold) => keyOf(gold) === keyOf(call));
      return known?.result ?? `no result of ${name}`;
    },
  });
  // The model reads name and schema as they were published, also where no tool of ours could be called so.
  return { ...tool, contract: { ...tool.contract, name, inputSchema: parameters } };
}
