// Goal: every worker sends the same bytes for what was said before, and tells each provider in its own words what to keep.
// Method: the activity on the real database with workers that share nothing else; requests of the real SDKs, caught by a local server or at `fetch`.
import assert from 'node:assert/strict';
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { callModel } from '../../../src/activities/model/call-model.ts';
import { invokeModel, type ResolvedModel } from '../../../src/activities/model/invoke-model.ts';
import { cacheRequestOf, withCachePrice } from '../../../src/activities/model/prompt-cache.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import { type Agent, defineAgent, defineTool } from '../../../src/authoring/index.ts';
import type { JsonObject, JsonValue } from '../../../src/domain/json.ts';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';
import type { PromptCachePolicy } from '../../../src/domain/model/prompt-cache.ts';
import { costOf, worstCost } from '../../../src/domain/model/price.ts';
import { NO_USAGE } from '../../../src/domain/model/usage.ts';
import { ceilingPrice } from '../../../src/domain/model/price-table.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import { createStores, type Stores } from '../../../src/stores/stores.ts';
import { type CachingServer, startCachingServer } from '../../support/prompt-cache/caching-server.ts';
import { admitRelease, openTestStores, randomId, type TestStores } from '../stores/support.ts';

const LOOK = defineTool({
  name: 'look',
  version: '1.0.0',
  description: 'Looks.',
  // Neither in the order of the alphabet nor in that of lengths, which is the database's.
  input: z.object({ zone: z.string(), id: z.string(), about: z.object({ why: z.string(), at: z.number() }) }),
  output: z.json(),
  effect: 'read',
  owner: 'tests',
  run: async () => null,
});

const keeper = (id: string, promptCache?: PromptCachePolicy): Agent =>
  defineAgent({
    name: 'keeper',
    owner: 'tests',
    purpose: 'Is tested.',
    requirements: { latencyP95Ms: 1_000, costPerRunUsd: 1_000 },
    instructions: 'You keep things. '.repeat(300),
    models: {
      standard: {
        id,
        outputTokensMax: 100,
        contextTokensMax: 100_000,
        ...(promptCache === undefined ? {} : { promptCache }),
      },
    },
    tools: [LOOK],
  });

const SCOPE = randomId('scope');

describe('a prompt that workers share', () => {
  let stores: TestStores;
  let server: CachingServer;
  /** Milliseconds by which the provider's clock is ahead. */
  let later = 0;
  before(async () => {
    stores = await openTestStores();
    server = await startCachingServer(
      (turn) => ({
        text: `turn ${turn}`,
        toolCalls: [
          { id: `t_${turn}`, name: 'look', input: { zone: 'z', id: `${turn}`, about: { why: 'w', at: turn } } },
        ],
      }),
      { now: () => Date.now() + later },
    );
  });
  after(async () => {
    await stores.close();
    await server.close();
  });

  const admit = async (agent: Agent): Promise<string> => {
    const limits = { costPico: String(10n ** 15n), tokens: 1e9, turns: 99, toolCalls: 99, activeMs: 60_000 };
    return admitRelease(
      stores,
      stores.tenant,
      buildRelease(agent, (id) => id),
      { limits, scope: SCOPE },
    );
  };

  /** One turn on a worker: what the model asked for before is answered, in members whose order is the tool's own. */
  const ask = async (worker: Stores, agent: Agent, runId: string, turn: number, before: ModelResult | null) => {
    const env = {
      ANTHROPIC_BASE_URL: server.url,
      ANTHROPIC_API_KEY: 'sk-test',
      PERDURE_MODEL_BASE_URL: server.url,
      OPENAI_API_KEY: 'sk-test',
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
    };
    const dependencies: ActivityDependencies = {
      stores: worker,
      agents: new Map([[agent.name, agent]]),
      models: createModels({ env, rehearsals: new Map() }),
      effectiveModelId: (id) => id,
      secret: () => undefined,
      settings: { queuePrefix: 'p', turnsPerExecution: 1, modelTimeoutMs: 1_000, worker: 'w' },
      failpoint: async () => undefined,
    };
    const said: MessagePart =
      before === null
        ? { kind: 'user-text', text: `Look at everything for ${runId}.` }
        : {
            kind: 'tool-result',
            toolCallId: `turn-${turn - 1}`,
            toolName: 'look',
            isError: false,
            output: { zone: 'z', found: [{ name: 'n', id: turn }], at: turn },
          };
    const delta = [await worker.transcripts.writePart(stores.tenant, SCOPE, await paired(worker, said, before))];
    const environment = new MockActivityEnvironment({
      workflowExecution: { workflowId: runId, runId: 'x' },
      scheduledTimestampMs: Date.now(),
      startToCloseTimeoutMs: LIMITS.settleMs + 20_000,
    });
    const head = before !== null && 'head' in before ? before.head : null;
    const input = { tenant: stores.tenant, turn, head, delta };
    return environment.run<[], ModelResult, () => Promise<ModelResult>>(async () => callModel(dependencies, input));
  };

  /** Gives a result the id of the call that it is of. */
  const paired = async (worker: Stores, part: MessagePart, before: ModelResult | null) => {
    if (part.kind !== 'tool-result' || before === null || !('head' in before)) return part;
    const parts = await worker.transcripts.read(stores.tenant, SCOPE, before.head);
    const call = parts.findLast(({ kind }) => kind === 'tool-call');
    return call?.kind === 'tool-call' ? { ...part, toolCallId: call.toolCallId } : part;
  };

  for (const [wire, model] of [
    ['Anthropic', 'anthropic:claude-sonnet-4-5'],
    ['OpenAI', 'openai:gpt-4.1'],
  ] as const) {
    it(`begins with the same bytes on two fresh workers and a warm one (${wire})`, async () => {
      const agent = keeper(model);
      const runId = await admit(agent);
      const from = server.requests.length;
      const [warm, fresh, other] = [createStores(stores.db), createStores(stores.db), createStores(stores.db)];
      // The warm one made the release; the others read it.
      await warm.releases.put(buildRelease(agent, (id) => id));
      let last: ModelResult | null = null;
      for (const [index, worker] of [warm, warm, fresh, other, warm, other, fresh].entries()) {
        last = await ask(worker, agent, runId, index + 1, last);
      }
      const sent = server.requests.slice(from).map(({ body }) => body);
      assert.equal(sent.length, 7);
      for (const [index, body] of sent.slice(1).entries()) {
        const earlier = sent[index] ?? assert.fail();
        assert.ok(bytesOf(body).startsWith(bytesOf(earlier).slice(0, -1)), `request ${index + 2} begins otherwise`);
      }
      const misses = server.requests.slice(from + 1).filter(({ charged }) => charged.read === 0);
      assert.deepEqual(misses, [], 'every request after the first reads what was kept');
    });
  }

  it('is kept for an hour where runs share it and for minutes where they do not, and each is paid as it was', async () => {
    const costs = [];
    for (const promptCache of [undefined, { sharedLifetime: '1h' }, { lifetime: '1h' }] as const) {
      const agent = keeper('anthropic:claude-sonnet-4-5', promptCache);
      const from = server.requests.length;
      let spent = 0n;
      // Three runs of two turns, twenty minutes apart.
      for (let run = 0; run < 3; run += 1) {
        const runId = await admit(agent);
        const worker = createStores(stores.db);
        const first = await ask(worker, agent, runId, 1, null);
        await ask(worker, agent, runId, 2, first);
        spent += BigInt((await stores.budgets.totalOf(stores.tenant, runId)).costPico);
        later += 20 * 60_000;
      }
      later += 24 * 60 * 60_000;
      const charged = server.requests.slice(from);
      const owed = charged.reduce((all, { charged: { fresh, written, hour, read }, outputTokens }) => {
        const input = fresh * 3_000_000 + (written - hour) * 3_750_000 + hour * 6_000_000 + read * 300_000;
        return all + BigInt(input + outputTokens * 15_000_000);
      }, 0n);
      assert.equal(spent, owed, JSON.stringify(promptCache));
      costs.push({ spent, hours: charged.map(({ charged: { hour, written } }) => [hour > 0, hour < written]) });
    }
    const [minutes, shared, hours] = costs;
    assert.ok(minutes !== undefined && shared !== undefined && hours !== undefined);
    // Only the first call of all writes what is shared, and what follows it is written for minutes.
    assert.deepEqual(shared.hours, [[true, true], ...Array.from({ length: 5 }, () => [false, true])]);
    assert.deepEqual(
      hours.hours,
      Array.from({ length: 6 }, () => [true, false]),
    );
    assert.ok(
      shared.spent < minutes.spent && shared.spent < hours.spent,
      `${minutes.spent} ${shared.spent} ${hours.spent}`,
    );
  });

  it('names the machine of a prompt by agent, release and tenant, in few characters', () => {
    assert.equal(keyOf('t'), keyOf('t'));
    assert.equal(new Set([keyOf('t'), keyOf('u'), keyOf('t', 's'), keyOf('t', 'r', 'b')]).size, 4);
    assert.ok(keyOf('t'.repeat(1_000)).length <= 64);
  });
});

/** The bytes of a request in the order in which providers compare them, without marks. */
function bytesOf({ tools, system, messages }: JsonObject): string {
  return `${JSON.stringify(unmarked([tools ?? null, system ?? null]))}${JSON.stringify(unmarked(messages ?? null))}`;
}

function unmarked(value: JsonValue): JsonValue {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(unmarked);
  const members = Object.entries(value).filter(([name]) => name !== 'cache_control');
  return Object.fromEntries(members.map(([name, member]) => [name, unmarked(member)]));
}

describe('what a provider is told to keep', () => {
  const requests: JsonObject[] = [];
  const caught: typeof globalThis.fetch = async (_, init) => {
    requests.push(JSON.parse(init?.body as string) as JsonObject);
    return new Response('{"error":{"message":"no"}}', { status: 400, headers: { 'content-type': 'application/json' } });
  };
  const env = {
    ANTHROPIC_API_KEY: 'k',
    OPENAI_API_KEY: 'k',
    PERDURE_MODEL_BASE_URL: 'http://127.0.0.1:9/v1',
    PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
  };
  const models = createModels({ env, fetch: caught, rehearsals: new Map() });

  const bodyOf = async (resolved: ResolvedModel, parts: readonly MessagePart[], policy?: PromptCachePolicy) => {
    const cache = policy === undefined ? { key: 'the-key' } : { key: 'the-key', policy };
    const request = { instructions: 'Be brief.', parts, tools: [LOOK.contract], outputTokensMax: 10, cache };
    await assert.rejects(invokeModel(resolved, request, new AbortController().signal));
    return requests.at(-1) ?? assert.fail('nothing was sent');
  };
  const resolve = async (id: string): Promise<ResolvedModel> =>
    models.resolve({ id, outputTokensMax: 10, contextTokensMax: 1_000 });

  it('marks the instructions and the ends of the last three prompts for Anthropic, however many blocks a turn has', async () => {
    const body = await bodyOf(await resolve('anthropic:claude-sonnet-4-5'), talk(5, 24));
    assert.deepEqual(marksOf(body), ['system', '6.23/24', '8.23/24', '10.24/25']);
    const [system] = body['system'] as readonly JsonObject[];
    assert.deepEqual(system?.['cache_control'], { type: 'ephemeral' });
    assert.deepEqual(marksOf(await bodyOf(await resolve('anthropic:claude-sonnet-4-5'), talk(0, 0))), [
      'system',
      '0.1/2',
    ]);
  });

  it('asks Anthropic for an hour where the policy says so, prices it so, and marks nothing where it is off', async () => {
    const anthropic = await resolve('anthropic:claude-sonnet-4-5');
    const hour = JSON.stringify(await bodyOf(anthropic, talk(5, 1), { lifetime: '1h' }));
    assert.equal(hour.match(/"cache_control":\{"type":"ephemeral","ttl":"1h"\}/g)?.length, 4);
    assert.ok(!JSON.stringify(await bodyOf(anthropic, talk(5, 1), 'off')).includes('cache_control'));
    const price = ceilingPrice(1);
    const written = {
      inputTokens: 100,
      outputTokens: 0,
      cacheReadTokens: 0,
      cacheWriteTokens: 100,
      reasoningTokens: 0,
    };
    const choice = { id: anthropic.id, outputTokensMax: 1, contextTokensMax: 1 };
    const costs = ([undefined, { lifetime: '1h' }] as const).map((promptCache) => {
      const route = {
        choice: promptCache === undefined ? choice : { ...choice, promptCache },
        resolved: anthropic,
        price,
      };
      return costOf(withCachePrice(route), written);
    });
    assert.deepEqual(costs, [costOf(price, written), 200n * price.base.input]);
  });

  it('asks for an hour for tools and instructions alone, before anything that is kept for minutes', async () => {
    const anthropic = await resolve('anthropic:claude-sonnet-4-5');
    const body = await bodyOf(anthropic, talk(5, 1), { sharedLifetime: '1h' });
    const marks = JSON.stringify([body['system'], body['messages']]).match(/"cache_control":\{[^}]*\}/g);
    assert.deepEqual(marks, [
      '"cache_control":{"type":"ephemeral","ttl":"1h"}',
      ...Array<string>(3).fill('"cache_control":{"type":"ephemeral"}'),
    ]);
    const price = anthropic.price ?? assert.fail('it has a price');
    const choice = {
      id: anthropic.id,
      outputTokensMax: 1,
      contextTokensMax: 1,
      promptCache: { sharedLifetime: '1h' },
    } as const;
    const dear = withCachePrice({ choice, resolved: anthropic, price });
    const written = { ...NO_USAGE, inputTokens: 100, cacheWriteTokens: 100 };
    assert.equal(costOf(dear, { ...written, cacheWriteHourTokens: 40 }), 60n * 3_750_000n + 40n * 6_000_000n);
    // What is reserved covers a prompt that is written for an hour as a whole.
    assert.ok(worstCost(dear, written) >= costOf(dear, { ...written, cacheWriteHourTokens: 100 }));
    const untabled = withCachePrice({ choice, resolved: anthropic, price: ceilingPrice(3) });
    assert.ok(worstCost(untabled, written) >= 600_000_000n);
  });

  it('tells OpenAI which requests belong together, in chat completions and in responses', async () => {
    const chat = await bodyOf(await resolve('openai:gpt-4.1'), talk(1, 1), { retention: '24h' });
    assert.deepEqual([chat['prompt_cache_key'], chat['prompt_cache_retention']], ['the-key', '24h']);
    const responses = await bodyOf(await resolve('openai-responses:gpt-4.1'), talk(1, 1));
    assert.deepEqual([responses['prompt_cache_key'], responses['prompt_cache_retention']], ['the-key', undefined]);
  });

  it('tells an OpenAI-compatible server nothing', async () => {
    const body = await bodyOf(await resolve('openai-compatible:any'), talk(1, 1), { retention: '24h' });
    assert.ok(!/cache/i.test(JSON.stringify(body)), JSON.stringify(body));
  });

  it('sets cache points for Claude and Nova on Bedrock, and none for models that refuse them', async () => {
    const bedrock = createAmazonBedrock({ region: 'us-east-1', apiKey: 'k', fetch: caught });
    const pointsOf = async (name: string, policy?: PromptCachePolicy): Promise<readonly string[]> => {
      const resolved: ResolvedModel = {
        model: bedrock(name),
        id: `bedrock:${name}`,
        provider: 'bedrock',
        credential: 'bedrock',
        wire: 'bedrock',
        keyName: null,
        price: null,
        simulated: false,
      };
      const body = JSON.stringify(await bodyOf(resolved, talk(5, 1), policy));
      return body.match(/"cachePoint":\{[^}]*\}/g) ?? [];
    };
    assert.deepEqual(
      await pointsOf('us.anthropic.claude-sonnet-4-5-20250929-v1:0'),
      Array(4).fill('"cachePoint":{"type":"default"}'),
    );
    assert.deepEqual(
      await pointsOf('anthropic.claude-haiku-4-5-20251001-v1:0', { lifetime: '1h' }),
      Array(4).fill('"cachePoint":{"type":"default","ttl":"1h"}'),
    );
    assert.deepEqual(await pointsOf('anthropic.claude-haiku-4-5-20251001-v1:0', { sharedLifetime: '1h' }), [
      '"cachePoint":{"type":"default","ttl":"1h"}',
      ...Array<string>(3).fill('"cachePoint":{"type":"default"}'),
    ]);
    // Nova refuses an hour.
    for (const policy of [undefined, { lifetime: '1h' }] as const) {
      assert.deepEqual(
        await pointsOf('eu.amazon.nova-pro-v1:0', policy),
        Array(4).fill('"cachePoint":{"type":"default"}'),
      );
    }
    assert.equal((await pointsOf('meta.llama3-70b-instruct-v1:0')).length, 0);
  });
});

function keyOf(tenant: string, release = 'r', agent = 'a'): string {
  return cacheRequestOf({ tenant, facts: { agent, release }, choice: {} }).key;
}

/** Turns with so many calls each, and what is asked next. */
function talk(turns: number, calls: number): readonly MessagePart[] {
  return [
    { kind: 'user-text', text: 'Go.' },
    ...Array.from({ length: turns }, (_, turn) => {
      const ids = Array.from({ length: calls }, (__, index) => `t${turn}c${index}`);
      return [
        ...ids.map((toolCallId): MessagePart => ({ kind: 'tool-call', toolCallId, toolName: 'look', input: {} })),
        ...ids.map((toolCallId): MessagePart => ({
          kind: 'tool-result',
          toolCallId,
          toolName: 'look',
          isError: false,
          output: 'x',
        })),
      ];
    }).flat(),
    { kind: 'guidance', text: 'Hurry.' },
  ];
}

function marksOf(body: JsonObject): readonly string[] {
  const messages = body['messages'] as readonly { readonly content: readonly JsonObject[] }[];
  const system = body['system'] as readonly JsonObject[];
  return [
    ...system.flatMap((part) => (part['cache_control'] === undefined ? [] : ['system'])),
    ...messages.flatMap(({ content }, index) =>
      content.flatMap((part, at) => (part['cache_control'] === undefined ? [] : [`${index}.${at}/${content.length}`])),
    ),
  ];
}
