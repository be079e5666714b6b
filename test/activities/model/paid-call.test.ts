// Goal: what is reserved for a call bears all that its provider can charge, and a failure that is known to be free holds nothing.
// Method: the activity on the real database with the client of a provider, against a local server that charges for what it adds to a prompt.
import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { callModel } from '../../../src/activities/model/call-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import { defineAgent, defineTool } from '../../../src/authoring/index.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import { type ProviderServer, startProviderServer } from '../../support/provider-server.ts';
import { admitRelease, openTestStores, type TestStores } from '../stores/support.ts';

const LOOK = defineTool({
  name: 'look',
  version: '1.0.0',
  description: 'Looks.',
  input: z.object({}),
  output: z.null(),
  effect: 'read',
  owner: 'tests',
  run: async () => null,
});

const AGENT = defineAgent({
  name: 'short',
  owner: 'tests',
  purpose: 'Is tested.',
  requirements: { latencyP95Ms: 1_000, costPerRunUsd: 1 },
  instructions: 'Be brief.',
  models: { standard: { id: 'openai-compatible:m', outputTokensMax: 100, contextTokensMax: 100_000 } },
  tools: [LOOK],
});

describe('a call on reserved money', () => {
  let stores: TestStores;
  let server: ProviderServer;
  before(async () => {
    stores = await openTestStores();
    server = await startProviderServer();
  });
  after(async () => {
    await server.close();
    await stores.close();
  });

  const ask = async (own: Partial<TestStores> = {}): Promise<{ runId: string; result: Promise<ModelResult> }> => {
    const limits = { costPico: '1000000000000', tokens: 1_000_000, turns: 9, toolCalls: 9, activeMs: 60_000 };
    const runId = await admitRelease(
      stores,
      stores.tenant,
      buildRelease(AGENT, (id) => id),
      { limits },
    );
    const env = { PERDURE_MODEL_BASE_URL: server.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };
    const dependencies: ActivityDependencies = {
      stores: { ...stores, ...own },
      agents: new Map([[AGENT.name, AGENT]]),
      models: createModels({ env, rehearsals: new Map() }),
      effectiveModelId: (id) => id,
      secret: () => undefined,
      settings: { queuePrefix: 'p', turnsPerExecution: 1, modelTimeoutMs: 1_000, worker: 'w' },
      failpoint: async () => undefined,
    };
    const delta = [await stores.transcripts.writePart(stores.tenant, 's', { kind: 'user-text', text: 'Hi.' })];
    const environment = new MockActivityEnvironment({
      workflowExecution: { workflowId: runId, runId: 'x' },
      scheduledTimestampMs: Date.now(),
      startToCloseTimeoutMs: LIMITS.settleMs + 20_000,
    });
    const input = { tenant: stores.tenant, turn: 1, head: null, delta };
    const result = environment.run<[], ModelResult, () => Promise<ModelResult>>(async () =>
      callModel(dependencies, input),
    );
    return { runId, result };
  };
  const reservationOf = async (runId: string) =>
    stores.db
      .selectFrom('budget_reservations')
      .select(['state', 'worst_pico', 'actual_pico', 'worst_tokens', 'actual_tokens'])
      .where('run_id', '=', runId)
      .executeTakeFirstOrThrow();

  it('bears what a provider puts before a short prompt with tools', async () => {
    // Anthropic counts 530 for its words about tools on the dearest of its models, and the prompt beside them.
    server.next({ kind: 'reply', text: 'Hello.', usage: { prompt_tokens: 530 + 60, completion_tokens: 100 } });
    const { runId, result } = await ask();
    assert.equal((await result).kind, 'replied');
    const row = await reservationOf(runId);
    assert.ok(BigInt(row.actual_pico ?? 0) <= BigInt(row.worst_pico), `${row.actual_pico} of ${row.worst_pico}`);
    assert.ok(Number(row.actual_tokens) <= Number(row.worst_tokens), `${row.actual_tokens} of ${row.worst_tokens}`);
  });

  it('waits with a charge that is known to be nothing until the database takes it', async () => {
    server.next({ kind: 'status', status: 429, headers: { 'retry-after': '1' } });
    let failures = 2;
    const settle: TestStores['modelCalls']['settle'] = async (...call) => {
      failures -= 1;
      if (failures >= 0) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      return stores.modelCalls.settle(...call);
    };
    const { runId, result } = await ask({ modelCalls: { ...stores.modelCalls, settle } });
    await assert.rejects(result);
    assert.equal((await reservationOf(runId)).state, 'released');
  });
});
