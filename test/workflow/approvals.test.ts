// Goal: a call that policy holds back is made only as a person decided, for exactly the arguments that the person saw.
// Method: scripted runs on workers in this process against the real servers; the destination tells what was done.
import assert from 'node:assert/strict';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import type { PendingDecision } from '../../src/domain/run/views.ts';
import { pendingQuery } from '../../src/workflows/agent-run.messages.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { answerOf, refused, signal, stateOf, untilAsked, update } from '../support/workflow/talk.ts';
import { type Destination, payTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const edit = (args: JsonValue) => ({ kind: 'edit', arguments: args }) as const;

describe('decisions about a call', () => {
  let platform: Platform;
  const destination: Destination = { arrived: [] };
  /** Pays what the input says, then answers with what came of it. */
  const payer = scripted(({ parts }) => {
    const last = parts.findLast((part) => part.kind === 'tool-result');
    if (last !== undefined) return { text: `outcome: ${JSON.stringify(last.output)}` };
    const input = parts.find((part) => part.kind === 'user-text');
    return { toolCalls: [{ tool: 'pay', input: { amount: Number(input?.text) } }] };
  });

  before(async () => {
    const approvals = [
      { name: 'quick', tool: 'pay', when: { path: 'amount', equals: 333 }, deadlineMs: 300 },
      {
        name: 'quick-yes',
        tool: 'pay',
        when: { path: 'amount', equals: 444 },
        deadlineMs: 300,
        onExpiry: 'approve' as const,
      },
      { name: 'above-100', tool: 'pay', when: { path: 'amount', above: 100 } },
    ];
    const agent = testAgent('payer', { tools: [payTool(destination)], approvals });
    platform = await startPlatform({ agents: [agent], scripts: { payer } });
  });
  after(async () => platform.close());
  afterEach(() => {
    destination.arrived.length = 0;
  });

  const askedToPay = async (amount: number) => {
    const handle = await platform.start('payer', String(amount));
    const pending = await untilAsked(platform, handle, 'approval');
    return { handle, pending };
  };
  const amounts = () => destination.arrived.map(({ amount }) => amount);
  const approvalRow = async ({ approvalId }: PendingDecision & { kind: 'approval' }) =>
    platform.db
      .selectFrom('approvals')
      .selectAll()
      .where('tenant', '=', platform.tenant)
      .where('id', '=', approvalId)
      .executeTakeFirstOrThrow();

  it('approve it, for exactly the arguments that were seen', async () => {
    const { handle, pending } = await askedToPay(200);
    assert.deepEqual([pending.tool, pending.args, pending.rule], ['pay', { amount: 200 }, 'above-100']);
    const decision = { kind: 'approve' } as const;
    assert.match(
      await refused(handle, 'decideApproval', { ...pending, argsHash: 'other', decision }),
      /argsHash is "other", but the pending arguments have .*: look at them again/,
    );
    await update(handle, 'decideApproval', { ...pending, principal: 'eve', decision });
    assert.equal(await answerOf(handle), 'outcome: {"paid":200}');
    const row = await approvalRow(pending);
    assert.deepEqual(
      [row.state, row.decided_by, row.args_hash, row.approved_hash],
      ['approved', 'eve', pending.argsHash, pending.argsHash],
    );
  });

  it('edit it, and refuse an edit that is not valid while it stays pending', async () => {
    const { handle, pending } = await askedToPay(200);
    await update(handle, 'decideApproval', { ...pending, id: 'bad-edit', decision: edit({ amount: -1 }) });
    const { rejectedMessages } = await until('refused edit', async () => {
      const state = await stateOf(handle);
      return state.rejectedMessages.length > 0 ? state : null;
    });
    assert.match(rejectedMessages[0]?.problem ?? '', /the edited arguments are not valid: [\s\S]*amount/);
    assert.deepEqual(await untilAsked(platform, handle, 'approval'), pending);
    await update(handle, 'decideApproval', { ...pending, decision: edit({ amount: 150 }) });
    assert.equal(await answerOf(handle), 'outcome: {"paid":150}');
    assert.deepEqual(amounts(), [150]);
    const row = await approvalRow(pending);
    assert.equal(row.args_hash, pending.argsHash);
    assert.notEqual(row.approved_hash, pending.argsHash);
  });

  it('reject it, with the reason before the model', async () => {
    const { handle, pending } = await askedToPay(200);
    await update(handle, 'decideApproval', { ...pending, decision: { kind: 'reject', reason: 'Too much.' } });
    assert.match(await answerOf(handle), /bea rejected the call\. Reason: Too much\./);
    assert.deepEqual(amounts(), []);
    assert.equal((await approvalRow(pending)).state, 'rejected');
  });

  it('respond to it in place of the tool', async () => {
    const { handle, pending } = await askedToPay(200);
    await update(handle, 'decideApproval', { ...pending, decision: { kind: 'respond', text: 'I paid in cash.' } });
    assert.equal(await answerOf(handle), 'outcome: "I paid in cash."');
    assert.deepEqual(amounts(), []);
  });

  it('count once: of two at the same moment one is refused', async () => {
    const { handle, pending } = await askedToPay(200);
    const [approved, rejected] = await Promise.allSettled([
      update(handle, 'decideApproval', { ...pending, decision: { kind: 'approve' } }),
      update(handle, 'decideApproval', { ...pending, decision: { kind: 'reject', reason: 'no' } }),
    ]);
    assert.notEqual(approved.status, rejected.status);
    const loser = approved.status === 'rejected' ? approved : rejected;
    const { cause } = (loser as PromiseRejectedResult).reason as Error;
    assert.match(String(cause), /is decided already|is not pending/);
    await handle.result();
    assert.deepEqual(amounts(), approved.status === 'fulfilled' ? [200] : []);
  });

  it('may stay away: nobody in time means no, or yes where the rule says so', async () => {
    const refusedPay = await platform.start('payer', '333');
    assert.match(await answerOf(refusedPay), /Nobody approved pay in time\. It was not done\./);
    assert.deepEqual(amounts(), []);
    const approvedPay = await platform.start('payer', '444');
    assert.equal(await answerOf(approvedPay), 'outcome: {"paid":444}');
  });

  it('reach it as a signal while no worker runs', async () => {
    const { handle, pending } = await askedToPay(250);
    await platform.stopWorkers();
    await signal(handle, 'decideApproval', { ...pending, decision: { kind: 'approve' } });
    await platform.startWorkers();
    assert.equal(await answerOf(handle), 'outcome: {"paid":250}');
  });

  it('find it after every worker was replaced, by the id of the run alone', async () => {
    const { handle } = await askedToPay(260);
    await platform.stopWorkers();
    await platform.startWorkers();
    const found = platform.client.workflow.getHandle(handle.workflowId);
    const [pending] = await found.query(pendingQuery);
    assert.equal(pending?.kind, 'approval');
    await update(handle, 'decideApproval', {
      ...(pending as PendingDecision & { kind: 'approval' }),
      decision: { kind: 'approve' },
    });
    assert.equal(await answerOf(handle), 'outcome: {"paid":260}');
    assert.deepEqual(amounts(), [260]);
  });
});
