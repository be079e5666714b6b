// Goal: a client starts runs, follows them, and what it says reaches them once, whether a worker listens or not.
// Method: real Temporal, PostgreSQL and workers with the reference agents; queues without workers stand for a deploy.
import assert from 'node:assert/strict';
import {
  MessageRejected,
  NoWorkerAnswered,
  type PerdureClient,
  type RunProgress,
  RunNotFound,
  RunWithoutEnd,
} from '../../src/client/index.ts';
import type { Workers } from '../../src/workers/start-workers.ts';
import { openPlatform, type Platform, until } from './platform.ts';

const lookUp = 'Where is my order A-1090? I am Liam Murphy.';
const refund = 'I am Jonas Weber, jonas.weber@example.com. Please refund my order A-1044, the desk is broken.';

/** Reads a payload that Temporal shows. */
function read(bytes: Uint8Array | null | undefined): unknown {
  return JSON.parse(Buffer.from(bytes ?? []).toString('utf8'));
}

describe('client: runs', function () {
  let platform: Platform;
  let workers: Workers;
  let client: PerdureClient;

  before(async function () {
    this.timeout(120_000);
    platform = await openPlatform();
    workers = await platform.startWorkers('client');
    client = platform.connectClient({ queuePrefix: 'client' });
  });

  after(async () => {
    await workers?.shutdown();
    await platform?.close();
  });

  it('starts a run, follows it and reads its answer', async () => {
    const run = await client.start({
      agent: 'support',
      input: Buffer.from(lookUp),
      subject: 'liam',
      startKey: 'follow',
    });
    const seen: RunProgress[] = [];
    for await (const progress of run.follow({ pollMs: 50 })) seen.push(progress);
    const finished = seen.flatMap((progress) => (progress.kind === 'finished' ? [progress.entry] : []));
    assert.deepEqual(
      finished.map(({ turn, name, outcome }) => [turn, name, outcome]),
      [
        [1, 'rehearsal:support', 'replied'],
        [1, 'lookupOrder@1', 'ok'],
        [2, 'rehearsal:support', 'replied'],
      ],
    );
    assert.deepEqual(finished[1]?.args, { orderId: 'A-1090' });
    const end = await run.result();
    assert.deepEqual(seen.at(-1), { kind: 'ended', end });
    assert.equal(end.outcome.kind, 'completed');
    assert.match((await run.answer()) ?? '', /A-1090/);
    const record = await platform.reader.run('default', run.id);
    assert.deepEqual(
      [record?.phase, record?.turns, record?.toolCalls, record?.isCostSimulated, record?.costPico, record?.principal],
      ['ended', 2, 1, true, end.costPico, 'tester'],
    );
    assert.deepEqual(
      (await platform.reader.transcript('default', run.id)).map((part) => part.kind),
      ['user-text', 'tool-call', 'tool-result', 'assistant-text'],
    );
  });

  it('gives the same run for the same start key, also after its end, and another one for another tenant', async () => {
    const options = { agent: 'support', input: lookUp, startKey: 'same' };
    const first = await client.start(options);
    const end = await first.result();
    const again = await client.start({ ...options, input: 'Something else.' });
    assert.equal(again.id, first.id);
    assert.deepEqual(await again.result(), end);
    const other = await client.start({ ...options, tenant: 'other' });
    assert.notEqual(other.id, first.id);
    await other.result();
    assert.equal(await platform.reader.findTenant(other.id), 'other');
    assert.equal(await platform.reader.run('default', other.id), null);
  });

  it('takes a decision for the approval that waits, and applies a repeated key once', async () => {
    const run = await client.start({ agent: 'support', input: refund });
    await until(async () => (await run.pending()).length === 1, 'the approval');
    const [pending] = await run.pending();
    assert.equal(pending?.kind, 'approval');
    const reject = { decision: { kind: 'reject', reason: 'Ask for a photo first.' }, key: 'd1' } as const;
    await assert.rejects(run.decideApproval({ ...reject, argsHash: 'other arguments' }), MessageRejected);
    assert.deepEqual(await run.decideApproval({ ...reject, principal: 'anna' }), { result: 'applied' });
    assert.equal((await run.result()).outcome.kind, 'completed');
    assert.match((await run.answer()) ?? '', /photo/);
    const [approval] = await platform.reader.approvals('default', { agentRunId: run.id });
    assert.deepEqual([approval?.state, approval?.decidedBy], ['rejected', 'anna']);
    await assert.rejects(run.steer('Be brief.'), {
      name: 'MessageRejected',
      message: /the run has ended \(completed\)/,
    });
  });

  it('talks to a conversation', async () => {
    const run = await client.start({ agent: 'support', input: 'I want a refund.', kind: 'conversation' });
    await until(async () => (await run.pending()).length === 1, 'the question');
    assert.deepEqual(await run.provideInput('Order A-1090, Liam Murphy', { key: 'm1' }), { result: 'applied' });
    assert.deepEqual(await run.provideInput('Order A-1090, Liam Murphy', { key: 'm1' }), { result: 'already-applied' });
    await until(async () => /A-1090/.test((await run.answer()) ?? ''), 'the answer');
    await run.pause();
    await until(async () => (await run.state()).phase === 'paused', 'the pause');
    await run.resume();
    assert.deepEqual(await run.topUpBudget({ turns: 5 }), { result: 'applied' });
    assert.equal((await run.usage()).turns >= 3, true);
    await run.requestStop('enough');
    assert.deepEqual((await run.result()).outcome, { kind: 'cancelled', reason: 'enough' });
  });

  it('keeps a message for a run that no worker serves, and says that it was only sent', async function () {
    this.timeout(90_000);
    const absent = platform.connectClient({ queuePrefix: 'client-deploy', answerMs: 1_000 });
    const run = await absent.start({ agent: 'support', input: lookUp });
    assert.deepEqual(await run.requestStop('changed my mind', { key: 's1' }), { result: 'sent' });
    await assert.rejects(run.state(), NoWorkerAnswered);
    await assert.rejects(run.decideApproval({ decision: { kind: 'approve' } }), MessageRejected);
    const blind = platform.connectClient({ queuePrefix: 'client-deploy', answerMs: 1_000, reader: null as never });
    await assert.rejects(blind.run(run.id).decideApproval({ decision: { kind: 'approve' } }), {
      name: 'NoWorkerAnswered',
      message: /Pass approvalId and argsHash, give the client a reader, or start a worker/,
    });
    const late = await platform.startWorkers('client-deploy');
    assert.deepEqual((await run.result()).outcome, { kind: 'cancelled', reason: 'changed my mind' });
    await late.shutdown();
  });

  it('tells a run that does not exist from one that has no end', async () => {
    const unknown = client.run('0aB1cD2eF3gH4iJ5kL6mN7');
    for (const ask of [unknown.result, unknown.state, unknown.pause, unknown.cancel, unknown.answer]) {
      await assert.rejects(ask(), RunNotFound);
    }
    assert.equal(await unknown.exists(), false);
    const run = await platform.connectClient({ queuePrefix: 'nobody' }).start({ agent: 'support', input: lookUp });
    const { namespace } = platform.servers.temporal;
    await platform.connection.workflowService.terminateWorkflowExecution({
      namespace,
      workflowExecution: { workflowId: run.id },
      reason: 'by an operator',
    });
    await assert.rejects(
      run.result(),
      (error: unknown) => error instanceof RunWithoutEnd && /by an operator/.test(error.message),
    );
  });

  it('shows the start where operators look', async () => {
    const input = 'long input '.repeat(50);
    const run = await platform
      .connectClient({ queuePrefix: 'nobody' })
      .start({ agent: 'support', input, tenant: 'acme' });
    const { namespace } = platform.servers.temporal;
    const { workflowExecutionInfo, executionConfig } =
      await platform.connection.workflowService.describeWorkflowExecution({
        namespace,
        execution: { workflowId: run.id },
      });
    const { indexedFields } = workflowExecutionInfo?.searchAttributes ?? {};
    assert.deepEqual(
      ['PerdureTenant', 'PerdureAgent', 'PerdureMode', 'PerdurePhase'].map((name) => read(indexedFields?.[name]?.data)),
      ['acme', 'support', 'live', 'running'],
    );
    const summary = read(executionConfig?.userMetadata?.summary?.data) as string;
    assert.match(summary, /^support · long input .*…$/);
    assert.equal(summary.length, 'support · '.length + 80);
    assert.equal(Number(executionConfig?.defaultWorkflowTaskTimeout?.seconds), 2);
    await run.cancel();
  });
});
