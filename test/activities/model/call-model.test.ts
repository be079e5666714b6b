// Goal: a reply that was paid for is charged and kept whatever is in it and whatever fails afterwards, and nothing is paid in a loop.
// Method: the activity on the real database with a scripted model; stores whose statements fail where a test says so.
import assert from 'node:assert/strict';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import { z } from 'zod';
import type { ActivityDependencies } from '../../../src/activities/dependencies.ts';
import { callModel } from '../../../src/activities/model/call-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { scripted, type ScriptedReply } from '../../../src/activities/model/scripted-model.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import { type Agent, defineAgent, defineTool } from '../../../src/authoring/index.ts';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';
import type { FailureDetail } from '../../../src/domain/run/cause.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import { admitRelease, openTestStores, type TestStores } from '../stores/support.ts';

const LOOK = defineTool({
  name: 'look',
  version: '1.0.0',
  description: 'Looks.',
  input: z.object({ id: z.string() }),
  output: z.json(),
  effect: 'read',
  owner: 'tests',
  run: async () => null,
});

const AGENT = defineAgent({
  name: 'odd',
  owner: 'tests',
  purpose: 'Is tested.',
  requirements: { latencyP95Ms: 1_000, costPerRunUsd: 1 },
  instructions: 'Be brief.',
  models: { standard: { id: 'scripted:odd', outputTokensMax: 100, contextTokensMax: 100_000 } },
  tools: [LOOK],
});

const call = (tool: string, input: unknown) => ({ tool, input: input as string });

const parseInput = (): never => {
  throw new RangeError('schema fails');
};

const replied = (result: ModelResult): ModelResult & { kind: 'replied' } => {
  if (result.kind !== 'replied') return assert.fail(`it gave ${result.kind}`);
  return result;
};
const failureOf = async (work: Promise<unknown>): Promise<{ failure: ApplicationFailure; detail: FailureDetail }> => {
  const failure = (await work.then(
    () => assert.fail('it gave a result'),
    (error: unknown) => error,
  )) as ApplicationFailure;
  return { failure, detail: failure.details?.[0] as FailureDetail };
};

describe('callModel', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const admit = async (agent: Agent, costPico = 10n ** 12n): Promise<string> => {
    const limits = { costPico: String(costPico), tokens: 1_000_000, turns: 9, toolCalls: 9, activeMs: 60_000 };
    return admitRelease(
      stores,
      stores.tenant,
      buildRelease(agent, (id) => id),
      { limits },
    );
  };

  const start = async (
    script: readonly ScriptedReply[],
    { agent = AGENT, costPico, broken = {} }: { agent?: Agent; costPico?: bigint; broken?: Partial<TestStores> } = {},
  ) => {
    const runId = await admit(agent, costPico);
    const model = scripted(script);
    const models = createModels({ env: {}, rehearsals: new Map(), scripts: new Map([['odd', model]]) });
    const dependencies: ActivityDependencies = {
      stores: { ...stores, ...broken },
      agents: new Map([[agent.name, agent]]),
      models,
      effectiveModelId: (id) => id,
      secret: () => undefined,
      settings: { queuePrefix: 'p', turnsPerExecution: 1, modelTimeoutMs: 1_000, worker: 'w' },
      failpoint: async () => undefined,
    };
    const delta = [await stores.transcripts.writePart(stores.tenant, 's', { kind: 'user-text', text: runId })];
    const ask = async (turn = 1): Promise<ModelResult> => {
      const environment = new MockActivityEnvironment({
        workflowExecution: { workflowId: runId, runId: 'x' },
        scheduledTimestampMs: Date.now(),
        startToCloseTimeoutMs: LIMITS.settleMs + 5_000,
      });
      const input = { tenant: stores.tenant, turn, head: null, delta };
      return environment.run<[], ModelResult, () => Promise<ModelResult>>(async () => callModel(dependencies, input));
    };
    return { runId, model, ask };
  };

  const account = async (runId: string) =>
    stores.db
      .selectFrom('budget_accounts')
      .select(['spent_tokens', 'held_tokens'])
      .where('id', '=', runId)
      .executeTakeFirstOrThrow();

  it('keeps a reply with U+0000 and lone surrogates in every place', async () => {
    const text = 'a\u0000b\ud83d';
    const { ask, model, runId } = await start([
      {
        text,
        reasoning: text,
        toolCalls: [call('look', { id: text }), call(text, { [text]: text }), call('look', text)],
      },
      { text: `${text}${'x'.repeat(194)}\u{1f600}\ud83d` },
    ]);
    const first = replied(await ask());
    assert.deepEqual(
      first.calls.map(({ verdict }) => verdict.kind),
      ['allow', 'answered', 'answered'],
    );
    assert.ok(first.calls.every((made) => 'argsRef' in made));
    assert.deepEqual(await ask(), first);
    const argsRef = (first.calls[0] as { argsRef: string }).argsRef;
    const part = (await stores.transcripts.readPart(stores.tenant, 's', argsRef)) as MessagePart & {
      kind: 'tool-call';
    };
    assert.deepEqual(part.input, { id: text });
    const second = replied(await ask(2));
    assert.match(second.answer?.preview ?? '', /^a b\ufffdx+/);
    assert.ok(second.answer?.preview.isWellFormed() && !JSON.stringify(second).includes('\\u0000'));
    // What the views of a run ask PostgreSQL to take apart.
    const shown = await sql<{ head: string }>`
      select result -> 'calls' as calls, result ->> 'head' as head from perdure.model_replies
       where run_id = ${runId} order by turn`.execute(stores.db);
    assert.deepEqual(
      shown.rows.map(({ head }) => head),
      [first.head, second.head],
    );
    model.assertUsed();
  });

  it('says how much of the delta the reply was made for, also when it was kept before', async () => {
    const { ask } = await start([{ text: 'Hello.' }]);
    assert.equal(replied(await ask()).heard, 1);
    assert.equal(replied(await ask()).heard, 1);
  });

  it('pays once for a reply whose call cannot be judged', async () => {
    const agent = { ...AGENT, tools: [{ ...LOOK, parseInput }] };
    const { ask, runId } = await start([{ toolCalls: [call('look', { id: 'a' })] }], { agent });
    assert.equal(replied(await ask()).calls[0]?.verdict.kind, 'answered');
    const { held_tokens: held, spent_tokens: spent } = await account(runId);
    assert.ok(Number(spent) > 0 && held === '0');
  });

  it('takes arguments that nothing could write again', async () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const { ask } = await start([{ toolCalls: [call('look', deep), call('look', '{"id": 1e999}')] }]);
    assert.deepEqual(
      replied(await ask()).calls.map(({ verdict }) => verdict.kind),
      ['answered', 'answered'],
    );
  });

  it('keeps 64 calls of a reply and makes 32', async () => {
    const toolCalls = Array.from({ length: 500 }, (_, index) => call('look', { id: String(index) }));
    const { ask } = await start([{ toolCalls }]);
    const { calls, head } = replied(await ask());
    assert.equal(calls.length, 64);
    assert.equal(calls.filter(({ verdict }) => verdict.kind === 'allow').length, 32);
    const parts = await stores.transcripts.read(stores.tenant, 's', head);
    assert.equal(parts.filter(({ kind }) => kind === 'tool-call').length, 64);
  });

  it('charges a reply that cannot be kept, and asks a person', async () => {
    const transcripts = {
      ...stores.transcripts,
      append: async (...place: Parameters<TestStores['transcripts']['append']>) => {
        if (place[2] !== null) throw new RangeError('a mistake of ours');
        return stores.transcripts.append(...place);
      },
    };
    const { ask, runId } = await start([{ text: 'Hello.' }], { broken: { transcripts } });
    const { failure, detail } = await failureOf(ask());
    assert.deepEqual([failure.type, detail.disposition], ['infra', 'mendable']);
    const { held_tokens: held, spent_tokens: spent } = await account(runId);
    assert.ok(Number(spent) > 0 && held === '0');
  }).timeout(10_000);

  it('waits for the database with a charge that is known', async () => {
    let failures = 2;
    const modelCalls: TestStores['modelCalls'] = {
      ...stores.modelCalls,
      settle: async (...settlement) => {
        failures -= 1;
        if (failures >= 0) throw Object.assign(new Error('read-only'), { code: '25006' });
        return stores.modelCalls.settle(...settlement);
      },
    };
    const { ask, runId } = await start([{ text: 'Hel', finish: 'length' }], { broken: { modelCalls } });
    assert.equal((await failureOf(ask())).detail.disposition, 'final');
    const { held_tokens: held, spent_tokens: spent } = await account(runId);
    assert.ok(Number(spent) > 0 && held === '0');
  });

  it('blocks the run when calls without an answer hold what the next one needs', async () => {
    const { ask, runId } = await start([{ error: new Error('gone') }, { text: 'Hello.' }]);
    await stores.db.updateTable('budget_accounts').set({ cap_tokens: '1500' }).where('id', '=', runId).execute();
    await failureOf(ask());
    const { failure, detail } = await failureOf(ask());
    assert.deepEqual([failure.type, failure.nonRetryable, detail.disposition], ['model-error', true, 'mendable']);
    assert.match(failure.message, /^1 call without an answer hold \d+ tokens of the budget/);
    assert.match(detail.mend ?? '', new RegExp(`perdure run top-up ${runId} --tokens`));
    await stores.db.updateTable('budget_accounts').set({ cap_tokens: '1000000' }).where('id', '=', runId).execute();
    assert.equal(replied(await ask()).kind, 'replied');
  });
});
