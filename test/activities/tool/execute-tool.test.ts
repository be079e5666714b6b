// Goal: a write is answered by what the ledger knows of it, whatever changed since it was sent, and in the scope of the run that asks.
// Method: the real activity on PostgreSQL in a mocked activity context; tools that count their calls, and builds that differ.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { z } from 'zod';
import { executeTool } from '../../../src/activities/tool/execute-tool.ts';
import type { ToolSpec } from '../../../src/authoring/define-tool.ts';
import { defineTool, type Tool, ToolUnreachable } from '../../../src/authoring/index.ts';
import type { ToolResult } from '../../../src/domain/run/results.ts';
import { contentHash } from '../../../src/domain/sha-256.ts';
import { contractHash } from '../../../src/domain/tool/contract.ts';
import type { FailpointName } from '../../../src/domain/failpoint.ts';
import { openTestStores, randomId, type TestStores } from '../stores/support.ts';

const ARGS = { amount: 42 };
const SEND_MS = 100;
/** Beyond the send deadline and the margin for other clocks. */
const AFTER_DEADLINE_MS = 450;

const input = z.object({ amount: z.number() });
const output = z.object({ payment: z.string() });

function payTool(change: Partial<ToolSpec<z.ZodType, typeof output>>): Tool {
  return defineTool<z.ZodType, typeof output>({
    name: 'pay',
    version: '1.0.0',
    description: 'Pays.',
    owner: 'tests',
    effect: 'write',
    timeoutMs: SEND_MS,
    input,
    output,
    run: () => Promise.resolve({ payment: 'p-1' }),
    ...change,
  });
}

describe('executeTool with a write', () => {
  let stores: TestStores;
  before(async () => {
    stores = await openTestStores();
  });
  after(async () => stores.close());

  const admit = async (tool: Tool): Promise<string> => {
    const id = randomId('run');
    const scope = randomId('scope');
    const limits = { costPico: '1', tokens: 1, turns: 10, toolCalls: 10, activeMs: 60_000 };
    const models = { standard: { id: 'scripted:any', outputTokensMax: 1, contextTokensMax: 1 } };
    const rules = { guardrails: [], approvals: [], limits, reflection: null };
    const release = await stores.releases.put({
      agent: 'payer',
      instructions: '',
      models,
      tools: [tool.contract],
      ...rules,
    });
    const plan = { release, limits, tools: {}, modelQueue: 'q', modelTimeoutMs: 1, turnsPerExecution: 1 };
    const facts = { id, agent: 'payer', kind: 'single', mode: 'live', release, scope, root: id, principal: 'ann' };
    const deadlineAt = Date.now() + 60_000;
    await stores.runs.admit(stores.tenant, {
      ...facts,
      keyHash: id,
      plan: { ...plan, revisionsMax: null },
      deadlineAt,
    });
    return id;
  };
  /** Makes the call of a run as a worker with the given build of the tool does. `pinned` is the build that the run began with. */
  const call = async (
    runId: string,
    tool: Tool,
    { pinned = tool, dieAt }: { readonly pinned?: Tool; readonly dieAt?: FailpointName } = {},
  ): Promise<ToolResult> => {
    const environment = new MockActivityEnvironment(
      {
        activityType: 'pay@1',
        attempt: 1,
        scheduledTimestampMs: Date.now(),
        workflowExecution: { workflowId: runId, runId },
      },
      { logger: new DefaultLogger('ERROR') },
    );
    const dependencies = {
      stores,
      agents: new Map([['payer', { tools: [tool] }]]),
      secret: () => undefined,
      settings: { worker: 'w-test' },
      failpoint: async (name: string) => {
        if (name === dieAt) throw new Error('killed');
      },
    } as unknown as Parameters<typeof executeTool>[0];
    const asked = {
      turn: 1,
      index: 0,
      args: ARGS,
      argsHash: contentHash(ARGS),
      contract: contractHash(pinned.contract),
    };
    return environment.run<[], ToolResult, () => Promise<ToolResult>>(() =>
      executeTool(dependencies, { tenant: stores.tenant, ...asked }),
    );
  };
  const outputOf = async (runId: string, result: ToolResult): Promise<unknown> => {
    assert.ok('ref' in result, result.outcome);
    const { scope } = await stores.runs.factsOf(stores.tenant, runId);
    const part = await stores.transcripts.readPart(stores.tenant, scope, result.ref);
    return part.kind === 'tool-result' ? part.output : part.kind;
  };
  const attemptsOf = async (runId: string) =>
    stores.db
      .selectFrom('effect_attempts')
      .select(['attempt', 'outcome'])
      .where('run_id', '=', runId)
      .orderBy('attempt')
      .execute();

  const drifted = payTool({ output: output.extend({ fee: z.number() }) as never });
  const narrowed = payTool({ input: z.object({ amount: z.number().max(10) }) });

  it('gives the recorded outcome to a build that would refuse the call', async () => {
    const tool = payTool({});
    for (const changed of [drifted, narrowed]) {
      const run = await admit(tool);
      const first = await call(run, tool);
      assert.deepEqual(await call(run, changed, { pinned: changed === narrowed ? narrowed : tool }), first);
    }
  });

  it('says unknown of a sent write that the changed build would refuse, never that it was not called', async () => {
    const tool = payTool({});
    for (const changed of [drifted, narrowed]) {
      const run = await admit(tool);
      await assert.rejects(call(run, tool, { dieAt: 'effect:replied' }));
      await sleep(AFTER_DEADLINE_MS);
      const result = await call(run, changed, { pinned: changed === narrowed ? narrowed : tool });
      assert.equal(result.outcome, 'unknown');
    }
  });

  it('finds a sent write under the business key of the build that sent it', async () => {
    const keyed = (prefix: string): Tool =>
      payTool({ idempotencyKey: { destination: false, businessKey: () => `${prefix}-${run}` } });
    let run = '';
    run = await admit(keyed('old'));
    await call(run, keyed('old'));
    let calls = 0;
    const changed = { ...keyed('new'), run: async () => ({ payment: `p-${(calls += 1)}` }) };
    assert.equal((await call(run, changed)).outcome, 'ok');
    assert.equal(calls, 0);
  });

  it('refuses a call that was never sent, and keeps the refusal', async () => {
    const away = payTool({ run: () => Promise.reject(new ToolUnreachable('away')) });
    const run = await admit(away);
    await assert.rejects(call(run, away), { type: 'tool-error' });
    const refused = await call(run, drifted, { pinned: away });
    assert.equal(refused.outcome, 'error');
    assert.match(String(await outputOf(run, refused)), /has changed since this run began.*not called/);
    assert.deepEqual(await call(run, payTool({})), refused);
  });

  it('gives a run its own result when another run has made the effect meanwhile', async () => {
    const key = randomId('order');
    const tool = (run: () => Promise<{ payment: string }>): Tool =>
      payTool({ timeoutMs: 5_000, idempotencyKey: { destination: true, businessKey: () => key }, run });
    const reply = Promise.withResolvers<{ payment: string }>();
    const sending = Promise.withResolvers<void>();
    const slow = tool(() => {
      sending.resolve();
      return reply.promise;
    });
    const [first, second] = [await admit(slow), await admit(slow)];
    const slowly = call(first, slow);
    await sending.promise;
    assert.deepEqual(
      await outputOf(
        second,
        await call(
          second,
          tool(() => Promise.resolve({ payment: 'p-1' })),
        ),
      ),
      { payment: 'p-1' },
    );
    reply.resolve({ payment: 'p-1' });
    const result = await slowly;
    assert.equal(result.outcome, 'already-done');
    assert.match(String(await outputOf(first, result)), new RegExp(`made by run ${second}`));
  });

  it('closes an attempt whose reconcile failed, and asks again', async () => {
    const trouble = Object.assign(new Error('relation "payments" does not exist'), { code: '42P01' });
    const tool = payTool({ reconcile: () => Promise.reject(trouble) });
    const run = await admit(tool);
    await assert.rejects(call(run, tool, { dieAt: 'effect:replied' }));
    await sleep(AFTER_DEADLINE_MS);
    await assert.rejects(call(run, tool), { type: 'tool-error', nonRetryable: false });
    assert.deepEqual(await attemptsOf(run), [
      { attempt: 1, outcome: null },
      { attempt: 2, outcome: 'not-sent' },
    ]);
    const observations = await stores.db
      .selectFrom('observations')
      .select('outcome')
      .where('run_id', '=', run)
      .orderBy('opened_at')
      .execute();
    assert.deepEqual(observations, [{ outcome: null }, { outcome: 'failed' }]);
    const mended = payTool({ reconcile: () => Promise.resolve({ kind: 'done', result: { payment: 'p-1' } }) });
    assert.deepEqual(await outputOf(run, await call(run, mended)), { payment: 'p-1' });
  });

  it('counts a reply in another shape as made, and shows it to the model', async () => {
    const tool = payTool({ run: () => Promise.resolve({ paymentId: 7 } as never) });
    const run = await admit(tool);
    const result = await call(run, tool);
    assert.equal(result.outcome, 'ok');
    const shown = (await outputOf(run, result)) as { note: string; reply: unknown };
    assert.deepEqual(shown.reply, { paymentId: 7 });
    assert.match(shown.note, /was made, but the output is not in its documented shape/);
    assert.deepEqual(await attemptsOf(run), [{ attempt: 1, outcome: 'succeeded' }]);
  });

  it('blocks the run when the worker misses a secret, in a read too', async () => {
    const tool = payTool({
      effect: 'read',
      secrets: ['BANK_KEY'],
      run: (_, context) => Promise.resolve({ payment: context.secret('BANK_KEY') }),
    });
    const run = await admit(tool);
    await assert.rejects(call(run, tool), {
      type: 'tool-error',
      nonRetryable: true,
      message: /secret BANK_KEY is not set/,
    });
  });
});
