// Goal: a run waits for days as it should: for an approval, an answer, a message; and then goes on or ends.
// Method: Temporal's test server, which skips the time in which nothing happens; activities work on the real PostgreSQL. Each test has a
// server of its own, because a skipped clock would not agree with the database's in the next one.
import assert from 'node:assert/strict';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { defineTool } from '../../src/authoring/index.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import { stateOf, untilAsked, untilPhase, update } from '../support/workflow/talk.ts';
import { type Destination, payTool, testAgent } from '../support/workflow/test-agent.ts';
import { startTimeSkipping } from '../support/workflow/time-skipping.ts';
import { until } from '../support/workflow/until.ts';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

const callOnce = (tool: string, input: { readonly [name: string]: string | number }) =>
  scripted(({ parts }) => {
    const result = parts.findLast((part) => part.kind === 'tool-result');
    return result === undefined
      ? { toolCalls: [{ tool, input }] }
      : { text: `outcome: ${JSON.stringify(result.output)}` };
  });

/** The token of the newest quote. */
let token = '';

const requestQuote = defineTool({
  name: 'requestQuote',
  version: '1.0.0',
  description: 'Asks a supplier.',
  owner: 'tests',
  input: z.object({ id: z.string() }),
  output: z.object({ priceUsd: z.number() }),
  effect: 'read',
  deferred: { timeoutMs: 3 * DAY_MS },
  run: async (_input, context) => {
    token = context.token;
  },
});

describe('a wait of days', function () {
  // The time-skipping server is another implementation than the real one, and now and then it does not skip.
  this.retries(2);
  let environment: TestWorkflowEnvironment;
  let platform: Platform;
  const destination: Destination = { arrived: [] };
  const scripts = {
    payer: callOnce('pay', { amount: 500 }),
    asker: callOnce('askPerson', { question: 'Which one?' }),
    buyer: callOnce('requestQuote', { id: 'desk' }),
    talker: scripted(({ parts }) => ({ text: `heard ${parts.filter((part) => part.kind === 'user-text').length}` })),
  };
  const agents = Object.keys(scripts).map((name) =>
    testAgent(name, {
      tools: [payTool(destination), requestQuote],
      approvals: [{ name: 'always', tool: 'pay', deadlineMs: 3 * DAY_MS }],
      asksPerson: { deadlineMs: DAY_MS },
    }),
  );

  beforeEach(async function () {
    // The binary may have to be fetched first, once per machine.
    this.timeout(180_000);
    environment = await startTimeSkipping();
    const temporal = { address: environment.address, client: environment.client };
    platform = await startPlatform({ agents, scripts, temporal });
  });
  afterEach(async () => {
    await platform.close();
    await environment.teardown();
  });

  it('ends with a no when nobody approves in three days', async () => {
    const handle = await platform.start('payer', 'Pay.');
    const { approvalId } = await untilAsked(platform, handle, 'approval');
    const end = await handle.result();
    assert.equal(end.answer?.preview, 'outcome: "Nobody approved pay in time. It was not done."');
    await assertTook(handle, 3 * DAY_MS);
    const row = platform.db.selectFrom('approvals').select(['state', 'decided_by']).where('id', '=', approvalId);
    assert.deepEqual(await row.executeTakeFirst(), { state: 'expired', decided_by: 'perdure' });
    assert.deepEqual(destination.arrived, []);
  });

  it('takes an approval that comes on the second day', async () => {
    const handle = await platform.start('payer', 'Pay.');
    const pending = await untilAsked(platform, handle, 'approval');
    await environment.sleep(2 * DAY_MS);
    await update(handle, 'decideApproval', { ...pending, decision: { kind: 'approve' } });
    assert.equal((await handle.result()).outcome.kind, 'completed');
    await assertTook(handle, 2 * DAY_MS);
    assert.equal(destination.arrived.length, 1);
  });

  it('fails when a question is not answered for a day', async () => {
    const handle = await platform.start('asker', 'Which?');
    await untilAsked(platform, handle, 'question');
    assert.deepEqual((await handle.result()).outcome, {
      kind: 'failed',
      cause: 'human-timeout',
      message: 'nobody answered in time',
    });
    await assertTook(handle, DAY_MS);
  });

  it('takes the result of a deferred tool that comes on the second day', async () => {
    const handle = await platform.start('buyer', 'Buy.');
    await untilPhase(handle, 'waiting');
    await environment.sleep(2 * DAY_MS);
    await update(handle, 'completeTool', { token, result: { output: { priceUsd: 12 } } });
    assert.equal((await handle.result()).answer?.preview, 'outcome: {"priceUsd":12}');
    await assertTook(handle, 2 * DAY_MS);
  });

  it('goes on without the result of a deferred tool after three days', async () => {
    const handle = await platform.start('buyer', 'Buy.');
    await untilPhase(handle, 'waiting');
    assert.match(
      (await handle.result()).answer?.preview ?? '',
      /^outcome: "requestQuote was begun, but no result of it came/,
    );
    await assertTook(handle, 3 * DAY_MS);
  });

  it('keeps a conversation ready for days, until its deadline', async () => {
    const handle = await platform.start('talker', 'Hello.', { kind: 'conversation' });
    await untilPhase(handle, 'waiting');
    await environment.sleep(5 * DAY_MS);
    await update(handle, 'provideInput', { text: 'Still there?' });
    await until('answer', async () => (await stateOf(handle)).answer?.preview === 'heard 2');
    assert.deepEqual((await handle.result()).outcome, { kind: 'expired' });
    await assertTook(handle, 7 * DAY_MS);
  });
});

/** The server's clock runs on to the next timer when a run has ended, so the run's own times count. */
async function assertTook(handle: RunHandle, expectedMs: number): Promise<void> {
  const { startTime, closeTime } = await handle.describe();
  const tookMs = Number(closeTime) - Number(startTime);
  assert.ok(Math.abs(tookMs - expectedMs) < HOUR_MS, `the run took ${tookMs / HOUR_MS} hours`);
}
