// Goal: each command does what it says against living servers, prints data on stdout, and ends with the right code.
// Method: real Temporal, PostgreSQL and workers; the commands run in this process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Workers } from '../../src/workers/start-workers.ts';
import { openPlatform, type Platform, until } from '../client/platform.ts';
import { testFolder } from '../support/servers.ts';
import { capturedCli, type Ended } from './captured-cli.ts';

const lookUp = 'Where is my order A-1090? I am Liam Murphy.';
const refund = 'I am Jonas Weber, jonas.weber@example.com. Please refund my order A-1044, the desk is broken.';

describe('command line: commands', function () {
  this.timeout(120_000);
  let platform: Platform;
  let workers: Workers;
  let env: NodeJS.ProcessEnv;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;

  before(async () => {
    platform = await openPlatform();
    workers = await platform.startWorkers('cli');
    const { temporal, postgres } = platform.servers;
    env = {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
      PERDURE_QUEUE_PREFIX: 'cli',
    };
    perdure = capturedCli(env);
  });

  after(async () => {
    await workers?.shutdown();
    await platform?.close();
  });

  it('starts a run, follows it and prints its answer alone on stdout', async () => {
    const ended = await capturedCli(env, { stdin: lookUp })(
      'run',
      'start',
      'support',
      '--input-file',
      '-',
      '--follow',
      '--tenant',
      'acme',
    );
    assert.equal(ended.exitCode, 0, ended.said);
    assert.match(ended.out, /^Order A-1090 [^\n]*$/);
    assert.match(ended.said, /turn 1 {2}lookupOrder@1 A-1090 {2}ok · /);
    assert.match(ended.said, /completed · 0\.\d+ USD \(simulated\) · [\d,]+ tokens · 2 turns · 1 tool call$/);
    const listed = await perdure('run', 'ls', '--tenant', 'acme', '--agent', 'support', '--phase', 'ended');
    assert.match(listed.out, /^id .*\n\w{22} {2}support {2}acme .* {2}completed$/);
  });

  it('shows a run as text and as JSON', async () => {
    const { id } = (await start(lookUp, '--key', 'shown')) as { id: string };
    await untilEnded(id);
    const shown = await perdure('run', 'show', id, '--transcript', '--audit');
    assert.equal(shown.exitCode, 0);
    for (const expected of [
      /completed/,
      /lookupOrder@1 A-1090 .* ok/,
      /\(simulated\)/,
      /Answer\n {2}Order A-1090/,
      /user: Where is/,
      /run.start/,
    ]) {
      assert.match(shown.out, expected);
    }
    const view = JSON.parse((await perdure('run', 'show', id, '--json')).out) as Record<string, unknown>;
    assert.deepEqual(Object.keys(view), [
      'run',
      'timeline',
      'answer',
      'approvals',
      'effects',
      'deferred',
      'rejected',
      'throttle',
      'question',
      'webUi',
      'chains',
      'routes',
      'breakers',
      'budgets',
      'limits',
      'cache',
    ]);
    const tailed = await perdure('run', 'tail', id, '--json');
    const kinds = tailed.out.split('\n').map((line) => (JSON.parse(line) as { kind: string }).kind);
    // What is said comes beside what is done, in no order.
    assert.deepEqual([kinds.includes('began'), kinds.at(-2), kinds.at(-1)], [true, 'ended', 'answer']);
    assert.deepEqual(await start(lookUp, '--key', 'shown'), { id, webUi: null });
  });

  it('lists an approval, refuses what does not fit, and takes a decision once', async () => {
    const { id } = (await start(refund)) as { id: string };
    const approvals = async (): Promise<{ id: string; args: object }[]> =>
      JSON.parse((await perdure('approve', 'ls', '--run', id, '--json')).out) as { id: string; args: object }[];
    await until(async () => (await approvals()).length === 1, 'the approval');
    const [approval] = await approvals();
    assert.deepEqual(approval?.args, { amountUsd: 249, orderId: 'A-1044', reason: 'arrived damaged' });
    assert.match(
      (await perdure('run', 'show', id)).out,
      /Waits for approval of refundOrder[^]*perdure approve decide \w{22} --approve/,
    );
    const unfit = await perdure('approve', 'decide', id, '--edit', '{"orderId":7}');
    assert.deepEqual([unfit.exitCode, unfit.out], [5, 'refused']);
    assert.match(unfit.said, /^nothing was approved: the edited arguments are not valid: .*orderId/);
    assert.match((await perdure('run', 'show', id)).out, /Refused a message \(approval decision\)/);
    const edit = '{"orderId":"A-1044","amountUsd":120,"reason":"damaged"}';
    const decided = await perdure('approve', 'decide', approval?.id ?? '', '--edit', edit, '--as', 'anna');
    assert.deepEqual([decided.exitCode, decided.out], [0, 'applied']);
    assert.match((await perdure('run', 'tail', id)).out, /120\.00 USD/);
    assert.match((await perdure('effect', 'ls', '--run', id)).out, /refundOrder@1 +1 .* succeeded$/);
    const again = await perdure('approve', 'decide', approval?.id ?? '', '--approve');
    assert.equal(again.exitCode, 5);
    assert.match(again.said, /is approved by anna already/);
    assert.equal((await perdure('approve', 'decide', '0000000000000000000000', '--approve')).exitCode, 4);
  });

  it('talks to a run', async () => {
    const { id } = (await start('I want a refund.', '--conversation')) as { id: string };
    await until(async () => (await platform.reader.run('default', id))?.phase === 'waiting', 'the question');
    assert.equal((await perdure('run', 'send', id, 'Order A-1090, Liam Murphy', '--key', 'k')).out, 'applied');
    assert.equal((await perdure('run', 'send', id, 'Order A-1090, Liam Murphy', '--key', 'k')).out, 'already-applied');
    assert.equal((await perdure('run', 'steer', id, 'Be brief.')).out, 'applied');
    assert.equal((await perdure('run', 'top-up', id, '--usd', '0.1', '--turns', '5')).out, 'applied');
    assert.equal((await perdure('run', 'pause', id)).out, 'applied');
    assert.equal((await perdure('run', 'resume', id)).out, 'applied');
    assert.equal((await perdure('run', 'top-up', id)).exitCode, 2);
    assert.equal((await perdure('run', 'stop', id, '--reason', 'enough')).out, 'applied');
    const tailed = await perdure('run', 'tail', id);
    assert.equal(tailed.exitCode, 1);
    assert.match(tailed.said, /cancelled: enough/);
    for (const late of [
      ['send', id, 'Hello?'],
      ['steer', id, 'Hello?'],
      ['pause', id],
      ['cancel', id],
    ]) {
      const { exitCode, out, said } = await perdure('run', ...late);
      assert.deepEqual(
        [exitCode, out, said],
        [5, '', `error: run ${id} has ended (cancelled: enough); nothing was sent, and nothing can be changed`],
      );
    }
    const client = platform.connectClient({ queuePrefix: 'cli' });
    await assert.rejects(client.run(id).cancel(), /^MessageRejected: the run has ended \(completed\)/);
    assert.equal((await perdure('run', 'pause', '0000000000000000000000')).exitCode, 4);
  });

  it('starts a run for somebody else, and says once that it was cancelled', async () => {
    const { id } = (await start('I want a refund.', '--conversation', '--as', 'anna')) as { id: string };
    await until(async () => (await platform.reader.run('default', id))?.phase === 'waiting', 'the question');
    assert.match((await perdure('run', 'show', id)).out, / · started by anna · /);
    assert.equal((await perdure('run', 'cancel', id)).exitCode, 0);
    await untilEnded(id);
    assert.match((await perdure('run', 'show', id)).out, / · support · cancelled\n/);
  });

  it('lets a run go on of which a person has seen enough', async () => {
    const { id } = (await start('I want a refund.', '--conversation')) as { id: string };
    await until(async () => (await platform.reader.run('default', id))?.phase === 'waiting', 'the question');
    const main = join(import.meta.dirname, '../../src/cli/main.ts');
    const tail = spawn(process.execPath, [main, 'run', 'tail', id], { env: { PATH: process.env['PATH'], ...env } });
    let said = '';
    tail.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = new Promise((resolve) => tail.on('close', (code, signal) => resolve(signal ?? code)));
    await until(async () => said.includes('run send'), 'the question in the terminal');
    tail.kill('SIGINT');
    assert.equal(await ended, 1, said);
    assert.match(said, new RegExp(`the run goes on\\. Look again: .*run tail ${id}\n$`));
    assert.equal((await platform.reader.run('default', id))?.phase, 'waiting');
    await perdure('run', 'stop', id);
  });

  it('settles an effect that nobody knows of', async () => {
    const { id } = (await start(lookUp)) as { id: string };
    await untilEnded(id);
    await platform.stores.db
      .insertInto('effects')
      .values({
        tenant: 'default',
        key: 'effectThatNobodyKnows1',
        root: id,
        run_id: id,
        turn: 1,
        call_index: 1,
        tool: 'refundOrder@1',
        contract: 'c',
        args_hash: 'h',
        state: 'unknown',
        attempt: 1,
        send_deadline: new Date(),
      })
      .execute();
    await platform.stores.db
      .insertInto('effect_attempts')
      .values({
        tenant: 'default',
        key: 'effectThatNobodyKnows1',
        attempt: 1,
        run_id: id,
        root: id,
        turn: 1,
        call_index: 1,
        args_hash: 'h',
        worker: 'w-1',
        outcome: 'lost',
        send_deadline: new Date(),
      })
      .execute();
    assert.match((await perdure('effect', 'ls', '--state', 'unknown')).out, /effectThatNobodyKnows1/);
    const resolve = ['effect', 'resolve', 'effectThatNobodyKnows1', '--as', 'failed', '--reason', 'Not in the ledger.'];
    const resolved = await perdure(...resolve, '--by', 'anna');
    assert.deepEqual([resolved.exitCode, resolved.out], [0, 'failed']);
    assert.match(resolved.said, /has ended; the ledger is right now/);
    assert.match((await perdure('run', 'show', id, '--audit')).out, /anna {2}effect.resolve .*Not in the ledger/);
    assert.equal((await perdure(...resolve)).exitCode, 5);
    assert.equal((await perdure('effect', 'resolve', 'none', ...resolve.slice(3))).exitCode, 4);
  });

  it('replays histories, and says which does not replay', async () => {
    const { id } = (await start(lookUp)) as { id: string };
    await untilEnded(id);
    assert.equal((await perdure('run', 'tail', id)).exitCode, 0);
    assert.deepEqual([(await perdure('replay', id)).out], [`ok      ${id}`]);
    const { connection } = platform;
    const client = new Client({ connection, namespace: platform.servers.temporal.namespace });
    const recorded = historyToJSON(await client.workflow.getHandle(id).fetchHistory());
    const folder = join(await testFolder(), 'histories');
    mkdirSync(folder);
    writeFileSync(join(folder, 'a-good.json'), recorded);
    writeFileSync(join(folder, 'b-other.json'), recorded.replaceAll('"callModel"', '"callAnotherModel"'));
    writeFileSync(join(folder, 'c-broken.json'), '{');
    const replayed = await perdure('replay', folder);
    assert.equal(replayed.exitCode, 1);
    assert.match(
      replayed.out,
      /^ok {6}a-good\.json\nfailed {2}b-other\.json: .*[Nn]ondeterminism.*\nfailed {2}c-broken\.json: not a JSON history/,
    );
    assert.equal(replayed.said, '1 of 3 replayed');
    assert.equal((await perdure('replay', join(folder, 'a-good.json'), '--json')).exitCode, 0);
  });

  it('replays what a query finds, and says what is wrong with one', async () => {
    const { id } = (await start(lookUp)) as { id: string };
    await untilEnded(id);
    const query = `WorkflowId = '${id}' AND PerdureAgent = 'support'`;
    await until(async () => (await perdure('replay', query)).exitCode === 0, 'the run is in the list');
    const found = await perdure('replay', query);
    assert.match(found.out, new RegExp(`^ok {6}${id}/[0-9a-f-]+$`));
    assert.equal((await perdure('replay', "PerdureAgent = 'support'", '--limit', '1')).said, '1 of 1 replayed');
    const wrong = await perdure('replay', "Nonsense = 'x'");
    assert.equal(wrong.exitCode, 2);
    assert.match(wrong.said, /Temporal does not take the query Nonsense = 'x': .*Nonsense/);
    assert.equal((await perdure('replay', "PerdureAgent = 'nobody'")).exitCode, 4);
    assert.equal((await perdure('replay', 'no-such-folder')).exitCode, 4);
  });

  async function untilEnded(id: string): Promise<void> {
    await until(async () => (await platform.reader.run('default', id))?.phase === 'ended', 'the end');
  }

  async function start(input: string, ...more: readonly string[]): Promise<unknown> {
    const ended = await perdure('run', 'start', 'support', input, '--json', ...more);
    assert.equal(ended.exitCode, 0, ended.said);
    return JSON.parse(ended.out);
  }
});
